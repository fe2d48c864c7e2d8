#!/usr/bin/env bash
# amqtt 0.12.1 and paho-mqtt 2.1.0 (PyPI), Python 3.11, Linux; 2026-11-30
#
# Behaviour: a subscriber of MQTT 3.1.1 with clean_session=False and QoS 1 disconnects properly, and connects again. The
# broker says in CONNACK that it has the session, and the subscription does work for what comes then. But messages that
# were published meanwhile never arrive, although the broker has acknowledged them to their publisher.
#
# And where a second client connects with a client id that is in use, the first one's connection stays open: its
# subscription is silent from then on, but its pings and what it publishes are answered as before.
#
# The guess that missed: "session present" is an answer about the messages of a session, not only about its
# subscriptions, and a client id has one connection at most.
#
# Seen:
#   session present              True
#   missed messages              none
#   later message                arrives
#   first of two namesakes       connected, its publish is acknowledged, its subscription is silent
set -euo pipefail

folder=$(mktemp -d)
broker=
trap '[ -z "$broker" ] || kill "$broker" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check amqtt==0.12.1 paho-mqtt==2.1.0 \
    >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }

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
import queue
import sys

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


class Client:
    def __init__(self, name: str, clean: bool) -> None:
        self.paho = paho.Client(CallbackAPIVersion.VERSION2, name, clean_session=clean, reconnect_on_failure=False)
        self.messages = queue.Queue()
        connected, self.subscribed = queue.Queue(), queue.Queue()
        self.paho.on_connect = lambda _c, _u, flags, _r, _p: connected.put(flags.session_present)
        self.paho.on_subscribe = lambda *_: self.subscribed.put(None)
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message.payload.decode())
        self.paho.connect("127.0.0.1", int(sys.argv[1]))
        self.paho.loop_start()
        self.present = connected.get(timeout=5)

    def subscribe(self) -> None:
        self.paho.subscribe("topic", qos=1)
        self.subscribed.get(timeout=5)

    def publish(self, payload: str) -> bool:
        info = self.paho.publish("topic", payload, qos=1)
        info.wait_for_publish(5)
        return info.is_published()

    def heard(self) -> str:
        try:
            return self.messages.get(timeout=3)
        except queue.Empty:
            return "none"

    def end(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


first = Client("keeper", clean=False)
first.subscribe()
first.end()
sender = Client("sender", clean=True)
acknowledged = sender.publish("missed")
again = Client("keeper", clean=False)
missed = again.heard()
sender.publish("later")
later = again.heard()

old = Client("namesake", clean=True)
old.subscribe()
new = Client("namesake", clean=True)
new.subscribe()
sender.publish("for one of them")
hears = (old.heard(), new.heard())
answered = old.publish("from the old one")

print(f"session present              {again.present}")
print(f"missed messages              {missed} (acknowledged to the publisher: {acknowledged})")
print(f"later message                {later}")
print(f"first of two namesakes       connected {old.paho.is_connected()}, publish acknowledged {answered}, heard {hears[0]}")
expected = (True, True, "none", "later", True, True, ("none", "for one of them"))
seen = (acknowledged, again.present, missed, later, old.paho.is_connected(), answered, hears)
sys.exit(0 if seen == expected else 1)
PYTHON
