#!/usr/bin/env bash
# Prints where a program of a Debian package is: `scripts/unpacked.sh nginx usr/sbin/nginx`. One that is not on the path is
# taken out of its package, which is not installed: installing it would start a service.
set -euo pipefail
cd "$(dirname "$0")/.."

package=$1 program=$2
tools=${CARGO_TARGET_DIR:-target}/tools
if found=$(command -v "${program##*/}"); then
    echo "$found"
    exit 0
fi
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)
if [[ ! -x $tools/$program ]] && command -v apt-get dpkg >/dev/null; then
    echo "${program##*/} is missing: taking it out of the package $package" >&2
    (
        cd "$(mktemp -d)" && trap 'rm -rf "$PWD"' EXIT
        apt-get download -q "$package" >/dev/null && dpkg -x "$package"_*.deb "$tools"
    ) || true
fi
if [[ ! -x $tools/$program ]]; then
    echo "${program##*/} is missing and could not be fetched" >&2
    exit 1
fi
echo "$tools/$program"
