#!/usr/bin/env bash
# Mosquitto 2.0.11 (Debian 12), Linux; 2026-11-30
#
# Behaviour: `listener 0 /path/to/socket` in mosquitto.conf listens on a Unix socket. A path with a space in it is cut
# at the space, without a word: Mosquitto starts, logs the shortened path as if it had been asked for, and listens on a
# socket of another name in another folder. `log_dest file`, in the same file, takes the rest of the line, spaces and
# all. Quotes do not help. A relative path does: start Mosquitto in the folder, and say `listener 0 socket`.
#
# The guess that missed: the path of a listener is read as the paths of other options are, or a line with a word too many
# is refused, as a line with an unknown option is.
#
# Seen:
#   absolute path with a space   socket at "a" instead of "a b/socket"
#   relative path                socket at "a b/socket"
set -euo pipefail

export PATH="$PATH:/usr/sbin"
command -v mosquitto >/dev/null || { echo "install mosquitto"; exit 2; }
mosquitto -h | head -1 || true
folder=$(mktemp -d)
broker=
trap '[ -z "$broker" ] || kill "$broker" 2>/dev/null || true; rm -rf "$folder"' EXIT
mkdir "$folder/a b"
user=$([ "$(id -u)" = 0 ] && echo "user root" || true)

seen() { # the listener's path
    rm -f "$folder/a" "$folder/a b/socket"
    printf 'listener 0 %s\nallow_anonymous true\n%s\n' "$1" "$user" >"$folder/mosquitto.conf"
    (cd "$folder/a b" && exec mosquitto -c "$folder/mosquitto.conf" 2>/dev/null) &
    broker=$!
    found=nothing
    for _ in $(seq 50); do
        if [ -S "$folder/a" ]; then found='"a"'; break; fi
        if [ -S "$folder/a b/socket" ]; then found='"a b/socket"'; break; fi
        sleep 0.1
    done
    kill "$broker"; wait "$broker" || true
    broker=
}

changed=0
seen "$folder/a b/socket"; echo "absolute path with a space   socket at $found"
[ "$found" = '"a"' ] || changed=1
seen socket; echo "relative path                socket at $found"
[ "$found" = '"a b/socket"' ] || changed=1
exit $changed
