#!/usr/bin/env bash
# Before a long build: whether the private Postgres can work in the directory of the data. As root it runs as the user postgres.
set -euo pipefail

[[ $(id -u) == 0 && -z ${DATABASE_URL:-} ]] || exit 0
place=$(realpath -m "${DATA_DIR:-data}")
while [[ ! -d $place ]]; do place=$(dirname "$place"); done
# shellcheck disable=SC2016
runuser -u postgres -- sh -c 'cd "$1"' sh "$place" 2>/dev/null && exit 0
echo "Postgres' user, postgres, cannot enter $place: clone to another place, or set DATA_DIR to one, such as /var/lib/horsetrust-chat" >&2
exit 1
