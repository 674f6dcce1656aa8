#!/usr/bin/env bash
# Holds all dependencies against deny.toml: licences, bans and sources always, known defects where their database can be
# reached.
set -euo pipefail
cd "$(dirname "$0")/.."

deny() { cargo deny --locked --config deny.toml --log-level warn "$@"; }

checks=(licenses bans sources)
if why=$(timeout 120 cargo deny fetch db 2>&1); then
    checks+=(advisories)
else
    echo "warning: advisories were NOT checked, their database cannot be reached: $(grep -m 1 fatal <<<"$why" || true)" >&2
fi

# An exception that is needed no more has to go.
deny --workspace check -A license-exception-not-encountered -D unnecessary-skip -D unmatched-skip "${checks[@]}"

# Apart from the workspace. What they share with it may have other versions; that is no matter here.
for crate in fuzz load/peers/socketioxide; do
    echo "$crate:"
    deny --manifest-path "$crate/Cargo.toml" check -A license-exception-not-encountered -A license-not-encountered \
        -A duplicate -A unnecessary-skip -A unmatched-skip -A unused-wrapper -A advisory-not-detected "${checks[@]}"
done
