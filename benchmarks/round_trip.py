"""The time from submit to completion, compared with minimal code on raw httpx and paho.

Both run against the same server in turns, and the ratio is taken within each turn.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import httpx
import paho.mqtt.client as paho
from figures import Figure
from null_server import null_client, null_server
from null_task import NULL
from paho.mqtt.enums import CallbackAPIVersion

from cl_client._jobs.reader import ReadReason

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from null_server import Addresses

    from cl_client.models import JobResponse

_PAYLOAD = b"x" * 10_000
_TOPIC = "inference/events"
_FIELDS = {"priority": "5"}
_TARGET = 1.15


class RawClient:
    """Runs a job per call: post it, wait for its event, read it. No retries, no checks, no safety net."""

    def __init__(self, addresses: Addresses) -> None:
        self._loop = asyncio.get_running_loop()
        # Below the server's keepalive of 5 s: connections may be idle during the other's turn.
        limits = httpx.Limits(max_connections=100, keepalive_expiry=3)
        self._http = httpx.AsyncClient(base_url=addresses.base_url, limits=limits)
        self._ended: dict[str, asyncio.Future[None]] = {}
        self._mqtt = paho.Client(CallbackAPIVersion.VERSION2)
        self._address = httpx.URL(addresses.mqtt_url)
        self._subscribed = asyncio.Event()

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[RawClient]:
        """Connect, and disconnect at the end.

        Yields:
            The client.
        """
        self._mqtt.on_message = self._on_message
        self._mqtt.on_subscribe = self._on_subscribe
        self._mqtt.connect(self._address.host, self._address.port or 1883)
        self._mqtt.subscribe(_TOPIC, qos=1)
        self._mqtt.loop_start()
        await self._subscribed.wait()
        async with self._http:
            yield self
        self._mqtt.disconnect()
        self._mqtt.loop_stop()

    def _on_subscribe(self, *_args: object) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic != _TOPIC:  # amqtt also sends a new client messages retained for others
            return
        event = cast("Mapping[str, str]", json.loads(message.payload))
        if event["event_type"] == "completed":
            self._loop.call_soon_threadsafe(self._end, event["job_id"])

    def _end(self, job_id: str) -> None:
        ended = self._ended.setdefault(job_id, self._loop.create_future())
        if not ended.done():
            ended.set_result(None)

    async def job(self) -> object:
        """Run one job, from its submit to its output.

        Returns:
            The job as JSON.

        Raises:
            RuntimeError: The job did not complete.
        """
        response = await self._http.post(f"/jobs/{NULL}", files={"file": ("x", _PAYLOAD)}, data=_FIELDS)
        job_id = cast("Mapping[str, str]", response.json())["job_id"]
        await self._ended.setdefault(job_id, self._loop.create_future())
        del self._ended[job_id]
        answer = cast("Mapping[str, object]", (await self._http.get(f"/jobs/{job_id}")).json())
        if answer["status"] != "completed":
            raise RuntimeError(answer)
        return answer


async def _in_flight(job: Callable[[], Awaitable[object]], in_flight: int, jobs: int) -> float:
    """Run jobs, a number of them at the same time; return the duration in seconds."""
    left = iter(range(jobs))

    async def keep_busy() -> None:
        for _ in left:
            await job()

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(keep_busy())
    return time.perf_counter() - begin


async def _measure(addresses: Addresses, turns: int, jobs_per_turn: int) -> list[Figure]:
    figures: list[Figure] = []
    async with null_client(addresses) as client, RawClient(addresses).connected() as raw:

        async def job() -> JobResponse:
            return await client.submit_job(NULL, _PAYLOAD, _FIELDS, {"wait": True, "raise_on_failure": True})

        if not await client.mqtt_monitor.wait_connected(10):
            raise RuntimeError("the broker does not respond")
        await _in_flight(raw.job, 4, 20)
        await _in_flight(job, 4, 20)
        for in_flight in (1, 16, 256):
            jobs = max(jobs_per_turn, 2 * in_flight)
            client.reads.clear()
            pairs = [
                (await _in_flight(raw.job, in_flight, jobs), await _in_flight(job, in_flight, jobs))
                for _ in range(turns)
            ]
            figures.append(
                Figure(
                    f"submit to completion, {in_flight} in flight, against raw httpx and paho",
                    statistics.median(ours / theirs for theirs, ours in pairs),
                    "x",
                    _TARGET,
                    details={
                        "raw ms per job": _per_job(pairs, 0, jobs),
                        "cl_client ms per job": _per_job(pairs, 1, jobs),
                        "turns": turns,
                        "jobs per turn": jobs,
                    },
                )
            )
            ended = jobs * turns
            safety = sum(count for reason, count in client.reads.items() if reason is not ReadReason.ENDING)
            figures.append(
                Figure(
                    f"HTTP requests per job, {in_flight} in flight, without the safety net",
                    1 + client.reads[ReadReason.ENDING] / ended,
                    "",
                    2.0,
                    details={"further reads per job": round(safety / ended, 3)},
                )
            )
    return figures


def _per_job(pairs: list[tuple[float, float]], which: int, jobs: int) -> float:
    return round(1000 * statistics.median(pair[which] for pair in pairs) / jobs, 3)


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns and jobs.

    Returns:
        The figures.
    """
    with null_server() as addresses:
        return asyncio.run(_measure(addresses, turns=2 if quick else 7, jobs_per_turn=40 if quick else 150))
