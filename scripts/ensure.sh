#!/usr/bin/env bash
# Installs what is missing, by the system's package manager, and says what it does. Arguments: postgres, openssl, node,
# python. Where it cannot install, it says what to type and fails.
set -euo pipefail

has_postgres() {
    local directory
    IFS=: read -ra path <<<"$PATH"
    for directory in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "${path[@]}"; do
        [[ -x "$directory/initdb" && -x "$directory/postgres" ]] && return 0
    done
    return 1
}

has_openssl() { pkg-config --exists openssl 2>/dev/null; }

has_node() { command -v npm >/dev/null && node -e 'process.exit(+process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null; }

has_python() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

# The packages of a need, for a package manager.
packages() {
    case "$1:$2" in
    apt-get:postgres) echo postgresql ;;
    apt-get:openssl) echo libssl-dev pkg-config ;;
    apt-get:node) echo nodejs npm ;;
    apt-get:python) echo python3 python3-venv ;;
    dnf:postgres) echo postgresql-server ;;
    dnf:openssl) echo openssl-devel pkgconf ;;
    dnf:node) echo nodejs npm ;;
    dnf:python) echo python3 ;;
    apk:postgres) echo postgresql ;;
    apk:openssl) echo openssl-dev pkgconf ;;
    apk:node) echo nodejs npm ;;
    apk:python) echo python3 ;;
    brew:postgres) echo postgresql@17 ;;
    brew:openssl) echo openssl pkgconf ;;
    brew:node) echo node ;;
    brew:python) echo python ;;
    esac
}

manager=
for candidate in apt-get dnf apk brew; do
    if command -v "$candidate" >/dev/null; then
        manager=$candidate
        break
    fi
done

as_root=()
if [[ $manager != brew && $(id -u) != 0 ]]; then as_root=(sudo -n); fi

install() {
    case "$manager" in
    apt-get)
        "${as_root[@]}" apt-get update -q
        # A cluster of the system's own is not wanted: the server makes a private one.
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
        ;;
    dnf) "${as_root[@]}" dnf install -y "$@" ;;
    apk) "${as_root[@]}" apk add "$@" ;;
    brew) brew install "$@" ;;
    esac
}

for need in "$@"; do
    "has_$need" && continue
    if [[ -z $manager ]]; then
        echo "$need is missing, and no package manager was found to install it: please install it by hand" >&2
        exit 1
    fi
    read -ra wanted <<<"$(packages "$manager" "$need")"
    echo "$need is missing: installing ${wanted[*]} with $manager"
    if ! install "${wanted[@]}" || ! "has_$need"; then
        typed="$manager install ${wanted[*]}"
        [[ $manager == apk ]] && typed="apk add ${wanted[*]}"
        [[ $manager != brew ]] && typed="sudo $typed"
        echo "$need could not be installed; please type: $typed" >&2
        exit 1
    fi
done
