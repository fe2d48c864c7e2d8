"""Records the ends of jobs with a bare paho client in a separate process: ``raw_ends.py MQTT_URL BASE_URL``.

It prints a line when it is subscribed. For each line on stdin, it prints when the event of each job's end
arrived, in nanoseconds of the monotonic clock that all processes share, and how long its reads took; then it
starts again.

It reads an ended job now and then with httpx alone, to show the server's part of an end's delay.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOPIC = "inference/events"
_READ_PAUSE = 0.1
_CONNECT_SECONDS = 10


class Heard(NamedTuple):
    """The time of each job's end, and the durations of the reads, in nanoseconds."""

    ended: dict[str, int]
    reads: list[int]


HEARD = TypeAdapter(Heard)


class _Listener:
    def __init__(self, mqtt_url: str) -> None:
        self.subscribed = threading.Event()
        self.ended: dict[str, int] = {}
        self._address = httpx.URL(mqtt_url)
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe

    def start(self) -> None:
        self._client.connect(self._address.host, self._address.port or 1883)
        self._client.subscribe(_TOPIC, qos=1)
        self._client.loop_start()
        if not self.subscribed.wait(_CONNECT_SECONDS):
            raise RuntimeError("the broker does not respond")

    def _on_subscribe(self, *_args: object) -> None:
        self.subscribed.set()

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        at = time.monotonic_ns()
        event = cast("Mapping[str, str]", json.loads(message.payload))
        if event["event_type"] == "completed":
            self.ended.setdefault(event["job_id"], at)


def _keep_reading(base_url: str, listener: _Listener, reads: deque[int]) -> None:
    with httpx.Client(base_url=base_url, timeout=60) as client:
        while True:
            time.sleep(_READ_PAUSE)
            job_id = next(reversed(listener.ended.copy()), None)
            if job_id is not None:
                begin = time.monotonic_ns()
                client.get(f"/jobs/{job_id}")
                reads.append(time.monotonic_ns() - begin)


def main() -> None:
    """Listen until standard input ends."""
    mqtt_url, base_url = sys.argv[1:]
    listener, reads = _Listener(mqtt_url), deque[int]()
    listener.start()
    threading.Thread(target=_keep_reading, args=(base_url, listener, reads), daemon=True).start()
    print("listening", flush=True)
    for _ in sys.stdin:
        print(HEARD.dump_json(Heard(listener.ended, list(reads))).decode(), flush=True)
        listener.ended = {}
        reads.clear()


if __name__ == "__main__":
    main()
