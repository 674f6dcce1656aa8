#!/usr/bin/env bash
# Checks the alert rules of docs/monitoring with promtool: their form, and their tests. Where promtool is missing and apt-get
# is there, it is taken out of Debian's package, which is not installed: installing it would start a Prometheus.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${CARGO_TARGET_DIR:-target}/tools
promtool=$(command -v promtool || echo "$tools/usr/bin/promtool")
if [[ ! -x $promtool ]] && command -v apt-get dpkg >/dev/null; then
    echo "promtool is missing: taking it out of the package prometheus"
    mkdir -p "$tools"
    directory=$(cd "$tools" && pwd)
    (
        cd "$(mktemp -d)" && trap 'rm -rf "$PWD"' EXIT
        apt-get download -q prometheus && dpkg -x prometheus_*.deb "$directory"
    ) || true
fi
if [[ ! -x $promtool ]]; then
    echo "promtool is missing and could not be fetched: the alert rules go unchecked"
    exit 0
fi
"$promtool" check rules docs/monitoring/alerts.yml
"$promtool" test rules docs/monitoring/alerts_test.yml
