#!/usr/bin/env bash
# Installs what is missing, by the system's package manager or cargo, and says what it does. Arguments: rust, cc, postgres,
# openssl, curl, node, python, chromium, faketime, deny. Where it cannot install, it says what to do and fails.
set -euo pipefail

# Of cargo-deny.
deny_version=0.20.2

has_rust() { command -v cargo >/dev/null; }

has_cc() { command -v cc >/dev/null; }

has_postgres() {
    local directory
    IFS=: read -ra path <<<"$PATH"
    for directory in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "${path[@]}"; do
        [[ -x "$directory/initdb" && -x "$directory/postgres" ]] && return 0
    done
    return 1
}

# The program, and the library to build with.
has_openssl() { command -v openssl >/dev/null && pkg-config --exists openssl 2>/dev/null; }

has_curl() { command -v curl >/dev/null; }

# 20.11 or newer, with npm.
has_node() {
    command -v npm >/dev/null &&
        node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 11) ? 0 : 1)' 2>/dev/null
}

has_python() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

has_chromium() { "${BASH_SOURCE[0]%/*}/chromium.sh" >/dev/null; }

has_faketime() {
    local file
    for file in /usr/lib/faketime /usr/lib64/faketime /usr/lib/*-linux-gnu/faketime; do
        [[ -e "$file/libfaketimeMT.so.1" ]] && return 0
    done
    return 1
}

# This version of cargo-deny, or a newer one.
has_deny() {
    local found
    found=$(cargo deny --version 2>/dev/null) && printf 'cargo-deny %s\n%s\n' "$deny_version" "$found" | sort -C -V
}

# The packages of a need, for a package manager.
packages() {
    case "$1:$2" in
    apt-get:cc) echo gcc libc6-dev ;;
    apt-get:postgres) echo postgresql ;;
    apt-get:openssl) echo openssl libssl-dev pkg-config ;;
    apt-get:curl) echo curl ;;
    apt-get:node) echo nodejs npm ;;
    apt-get:python) echo python3 python3-venv ;;
    apt-get:chromium) echo chromium fonts-dejavu-core fonts-noto-color-emoji ;;
    apt-get:faketime) echo libfaketime ;;
    dnf:cc) echo gcc ;;
    dnf:postgres) echo postgresql-server ;;
    dnf:openssl) echo openssl openssl-devel pkgconf-pkg-config ;;
    dnf:curl) echo curl ;;
    dnf:node) echo nodejs npm ;;
    dnf:python) echo python3 ;;
    dnf:chromium) echo chromium ;;
    dnf:faketime) echo libfaketime ;;
    apk:cc) echo build-base ;;
    apk:postgres) echo postgresql ;;
    apk:openssl) echo openssl openssl-dev pkgconf ;;
    apk:curl) echo curl ;;
    apk:node) echo nodejs npm ;;
    apk:python) echo python3 ;;
    apk:chromium) echo chromium font-dejavu ;;
    apk:faketime) echo libfaketime ;;
    esac
}

manager=
for candidate in apt-get dnf apk; do
    if command -v "$candidate" >/dev/null; then
        manager=$candidate
        break
    fi
done

as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        echo "installing needs root, and there is no sudo" >&2
        return 1
    elif [[ -t 0 && -z ${CI:-} ]]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

install() {
    case "$manager" in
    apt-get)
        as_root apt-get update -q || return
        if [[ " $* " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
            # Only the binaries are wanted: without this, Debian also makes and starts a cluster of the system's own.
            as_root mkdir -p /etc/postgresql-common &&
                as_root sh -c 'echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf' || return
        fi
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
        ;;
    dnf) as_root dnf install -y "$@" ;;
    apk) as_root apk add "$@" ;;
    esac
}

# Built to be there soon, not to run fast: it has a second's work to do.
install_deny() {
    echo "deny is missing: building cargo-deny $deny_version with cargo, which takes a few minutes"
    env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install --quiet --locked --version "$deny_version" cargo-deny
}

# What to do by hand.
remedy() {
    local verb=install
    [[ $manager == apk ]] && verb=add
    case "$1" in
    rust) echo "install Rust 1.95 or newer with rustup, with its components clippy and rustfmt for the tests" ;;
    deny) echo "type: cargo install --locked --version $deny_version cargo-deny" ;;
    chromium) echo "install Chromium, or name one with CHROMIUM=, or type: npx playwright-core@1.65.1 install --with-deps chromium" ;;
    node) echo "install Node.js 20.11 or newer with npm (found: $(node --version 2>/dev/null || echo none))" ;;
    *) echo "type, as root: ${manager:-your package manager} $verb $(packages "${manager:-apt-get}" "$1")" ;;
    esac
}

for need in "$@"; do
    "has_$need" && continue
    if [[ $need == deny ]]; then
        install_deny && has_deny && continue
    fi
    read -ra wanted <<<"$(packages "$manager" "$need")" || true
    if [[ ${#wanted[@]} -gt 0 ]]; then
        echo "$need is missing: installing ${wanted[*]} with $manager"
        install "${wanted[@]}" || true
        "has_$need" && continue
    fi
    echo "$need is missing and could not be installed: please $(remedy "$need")" >&2
    exit 1
done
