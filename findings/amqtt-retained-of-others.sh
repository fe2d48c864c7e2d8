#!/usr/bin/env bash
# amqtt 0.12.1 (broker), paho-mqtt 2.1.0 (clients), Python 3.11; 2026-11-30
#
# Behaviour: after a SUBSCRIBE the broker sends the new subscriber the retained messages that match the subscription of
# any client, and not only those that match its own. Whoever subscribes to news/+ also gets what is retained under
# weather/+ once somebody else has subscribed to that. Messages that are published later go to their own subscribers
# alone. So a program that takes each message for one of the topic that it has asked for reads foreign payloads, in a
# small network as soon as a second program shares the broker.
#
# The guess that missed: a client gets messages of topics that match its own filters, retained ones included (MQTT
# 3.1.1, section 3.3.1.3).
#
# Seen:
#   first, subscribed to weather/+: weather/rain retain=True
#   second, subscribed to news/+: weather/rain retain=True, news/today retain=True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q amqtt==0.12.1 paho-mqtt==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import logging
import socket
import sys

import paho.mqtt.client as paho
from amqtt.broker import Broker

logging.disable(logging.CRITICAL)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
config = {
    "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


class Client:
    def __init__(self, name: str) -> None:
        self.got: list[str] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311)
        self.client.on_message = lambda _client, _data, message: self.got.append(f"{message.topic} retain={message.retain}")
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()


async def main() -> list[str]:
    broker = Broker(config)
    await broker.start()
    publisher = await asyncio.to_thread(Client, "publisher")
    publisher.client.publish("weather/rain", b"yes", 1, retain=True)
    publisher.client.publish("news/today", b"none", 1, retain=True)
    await asyncio.sleep(0.5)
    first = await asyncio.to_thread(Client, "first")
    first.client.subscribe("weather/+", 1)
    await asyncio.sleep(0.5)
    second = await asyncio.to_thread(Client, "second")
    second.client.subscribe("news/+", 1)
    await asyncio.sleep(1)
    lines = [f"first, subscribed to weather/+: {', '.join(first.got)}", f"second, subscribed to news/+: {', '.join(second.got)}"]
    for one in (publisher, first, second):
        one.client.disconnect()
        one.client.loop_stop()
    await broker.shutdown()
    return lines


seen = asyncio.run(main())
print("\n".join(seen))
as_stated = [
    "first, subscribed to weather/+: weather/rain retain=True",
    "second, subscribed to news/+: weather/rain retain=True, news/today retain=True",
]
sys.exit(0 if seen == as_stated else 1)
PYTHON
