#!/usr/bin/env bash
# amqtt 0.12.1 (PyPI), Python 3.11, Linux; 2026-11-30
#
# Behaviour: the broker speaks MQTT 3.1.1 and tells an MQTT 5 client so, with the CONNACK 20 02 00 01
# ("unacceptable protocol version"), but only where the CONNECT carries no properties. With a single valid property,
# whichever one (a session expiry, a receive maximum, a packet size), nothing comes back: no CONNACK, no close. It
# reads on as in 3.1.1 before it looks at the version: the length of the properties and the first one's identifier
# pass for the length of the client's name, and it waits for a name of 801 to 1319 bytes. So a client learns that the
# version is not spoken, or waits in vain, by an option that has nothing to do with the version.
#
# The guess that missed: the protocol level comes before all that differs between the versions, so either every MQTT 5
# CONNECT is refused, or none is.
#
# Seen:
#   MQTT 3.1.1                       20020000
#   MQTT 5, no properties            20020001
#   MQTT 5, session expiry 300 s     silence for 5 s
#   MQTT 5, receive maximum 20       silence for 5 s
#   MQTT 5, packets up to 128 KiB    silence for 5 s
set -euo pipefail

folder=$(mktemp -d)
broker=
trap '[ -z "$broker" ] || kill "$broker" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check amqtt==0.12.1 >"$folder/pip.log" 2>&1 ||
    { cat "$folder/pip.log"; exit 2; }

cat >"$folder/broker.py" <<'PYTHON'
import asyncio
import socket
import sys

from amqtt.broker import Broker


async def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    await Broker({"listeners": {"default": listener}, "plugins": plugins}).start()
    with open(sys.argv[1], "w") as file:
        file.write(f"{port}\n")
    await asyncio.Event().wait()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/broker.py" "$folder/port" 2>"$folder/broker.log" &
broker=$!
for _ in $(seq 100); do [ -s "$folder/port" ] && break; sleep 0.1; done

"$folder/venv/bin/python" - "$(cat "$folder/port")" <<'PYTHON'
import socket
import sys


def answer(level: int, properties: bytes | None) -> str:
    name = b"\x00\x06client"
    flags_and_keepalive = b"\x02\x00\x3c"
    block = b"" if properties is None else bytes([len(properties)]) + properties
    body = b"\x00\x04MQTT" + bytes([level]) + flags_and_keepalive + block + name
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as connection:
        connection.sendall(b"\x10" + bytes([len(body)]) + body)
        try:
            return connection.recv(64).hex() or "closed"
        except TimeoutError:
            return "silence for 5 s"


cases = (
    ("MQTT 3.1.1", 4, None, "20020000"),
    ("MQTT 5, no properties", 5, b"", "20020001"),
    ("MQTT 5, session expiry 300 s", 5, b"\x11" + (300).to_bytes(4, "big"), "silence for 5 s"),
    ("MQTT 5, receive maximum 20", 5, b"\x21" + (20).to_bytes(2, "big"), "silence for 5 s"),
    ("MQTT 5, packets up to 128 KiB", 5, b"\x27" + (131072).to_bytes(4, "big"), "silence for 5 s"),
)
changed = False
for what, level, properties, expected in cases:
    seen = answer(level, properties)
    print(f"{what:32} {seen}")
    changed |= seen != expected
sys.exit(1 if changed else 0)
PYTHON
