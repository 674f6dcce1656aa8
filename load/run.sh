#!/usr/bin/env bash
# Starts a server on a private Postgres, both in a directory of their own, and runs chat-load against it.
# Arguments: the directory with the binaries, then those of chat-load; `chat` if there are none.
# Ends with the exit code of chat-load. SIGTERM and Ctrl-C end what it started, too.
set -euo pipefail

if [[ $# -eq 0 || $1 == -h || $1 == --help ]]; then
    echo "usage: $0 DIRECTORY_WITH_BINARIES [SCENARIO [OPTION …]], such as: $0 target/release rate --rate 1500"
    exit $(($# == 0))
fi
for binary in horsetrust-chat chat-load; do
    [[ -x $1/$binary ]] || { echo "there is no $1/$binary: cargo build --release --workspace --locked" >&2; exit 1; }
done
binaries=$(cd "$1" && pwd)
shift
[[ $# -gt 0 ]] || set -- chat

# What only asks, or is wrong, needs no server: asked for help besides, the tool reads what is before, and runs nothing.
for argument in "$@"; do
    case $argument in -h | --help | help | -V | --version) exec "$binaries/chat-load" "$@" ;; esac
done
"$binaries/chat-load" "$@" --help >/dev/null

# Below /tmp: the path of a Unix socket must be short, and the user of Postgres must be able to enter it.
directory=$(mktemp -d /tmp/chat-load-XXXXXX)
chmod 755 "$directory"
server='' load=''
stop() {
    # A second Ctrl-C must not leave Postgres behind.
    trap '' INT TERM
    # The load first: without it the server has nothing to finish.
    for child in $load $server; do
        kill -TERM "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    done
    rm -rf "$directory"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export JWT_SECRET
JWT_SECRET=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')

# As much as the scenarios ask for.
export RATE_SENDS=0 RATE_TYPING=0 RATE_JOINS=0 RATE_REST=0 CONNECTIONS_PER_ADDRESS=0

# In there, and without the settings of this shell, which may name another database. In a session of its own: Ctrl-C is
# for this script, which then ends all in order.
: >"$directory/address"
(cd "$directory" && exec setsid env -u DATABASE_URL -u CONFIG_FILE -u HOST -u WORKERS \
    "$binaries/horsetrust-chat" serve --data-dir "$directory/data" --port 0 --log warn >"$directory/address") &
server=$!

until grep -q listening "$directory/address"; do
    kill -0 "$server" 2>/dev/null || { echo "the server did not start" >&2; exit 1; }
    sleep 0.1
done
url=$(grep -o 'http://[^ ]*' "$directory/address")
postgres=$(head -n 1 "$directory/data/postgres/postmaster.pid")

# In the background: while bash waits for a program in the foreground, it hears of no signal.
"$binaries/chat-load" "$@" --url "$url" --process "server=$server" --process "postgres=$postgres+" &
load=$!
code=0
wait "$load" || code=$?
load=''
exit "$code"
