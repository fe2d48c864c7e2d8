"""Events dispatched per second, from the payload to the callback, for growing numbers of subscriptions."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from typing import TYPE_CHECKING

from figures import Figure, medians

from cl_client import ComputeClientConfig, JobResponse
from cl_client._http.tls import make_ssl_context
from cl_client._jobs.reader import JobReader
from cl_client._jobs.tracker import JobTracker
from cl_client._jobs.workers import Workers
from cl_client._mqtt.types import MQTTMessage
from cl_client.mqtt_monitor import MQTTJobMonitor

if TYPE_CHECKING:
    from cl_client.models import WorkerCapabilities

_SUBSCRIPTIONS = (1, 100, 10_000, 100_000)
_EVENTS_PER_TURN = 20_000
_BATCH = 100
"""Messages per wake-up of the loop, which takes all that have gathered."""


async def _no_read(job_id: str) -> JobResponse:
    raise AssertionError(job_id)


async def _no_capabilities(*, quiet: bool) -> WorkerCapabilities:
    raise AssertionError(quiet)


class _Bench:
    """A number of followed jobs; each event is news for one of them, and calls one callback."""

    def __init__(self, subscriptions: int) -> None:
        self.config = ComputeClientConfig.create(mqtt_broker="off", poll_min=3600, poll_interval=3600)
        self.tracker = JobTracker(JobReader(_no_read, limit=8, cache_size=0), self.config)
        workers = Workers(_no_capabilities, self.tracker, 90.0)
        self.monitor = MQTTJobMonitor(
            self.config, self.tracker, workers, lambda: make_ssl_context(self.config)
        )
        self.subscriptions = subscriptions
        self.told = 0
        self._followed: list[str] = []
        self._round = 0

    async def follow_anew(self) -> None:
        """Subscribe to new jobs that are running."""
        for subscription_id in self._followed:
            self.tracker.unsubscribe(subscription_id)
        self._round += 1
        self._followed = []
        for number in range(self.subscriptions):
            job = JobResponse.model_validate(
                {"job_id": self._id(number), "task_type": "null", "status": "queued"}
            )
            subscription_id = self.tracker.subscribe(
                job.job_id, self._on_progress, None, submitted=job, fresh=True
            )
            self._followed.append(subscription_id)
        await asyncio.sleep(0)
        # Every job runs, so that the same kind of news is measured for any number of jobs.
        self.monitor.dispatch(self._message(number, 0) for number in range(self.subscriptions))
        self.told = 0

    def _id(self, number: int) -> str:
        return f"{self._round:08d}-0000-4000-8000-{number:012d}"

    def _message(self, number: int, percent: int) -> MQTTMessage:
        return MQTTMessage(self.config.events_topic, _event(self._id(number), percent), retain=False)

    def _on_progress(self, _job: JobResponse) -> None:
        self.told += 1

    async def turn(self, events: int) -> float:
        """Dispatch a number of events, spread over all jobs in random order; return events per second."""
        seconds, left = 0.0, events
        order = list(range(self.subscriptions))
        while left:
            # Progress is a whole percentage, so a job has at most a hundred events.
            await self.follow_anew()
            random.shuffle(order)
            numbers = ((number, percent) for percent in range(1, 101) for number in order)
            messages = [self._message(number, percent) for number, percent in itertools.islice(numbers, left)]
            begin = time.perf_counter()
            for start in range(0, len(messages), _BATCH):
                self.monitor.dispatch(messages[start : start + _BATCH])
            seconds += time.perf_counter() - begin
            if self.told != len(messages):
                raise RuntimeError(f"only {self.told} of {len(messages)} events reached the callback")
            left -= len(messages)
        return events / seconds


def _event(job_id: str, progress: int) -> bytes:
    return b'{"job_id":"%s","event_type":"processing","timestamp":1770000000000,"progress":%d}' % (
        job_id.encode(),
        progress,
    )


async def _measure(turns: int) -> list[Figure]:
    benches = [_Bench(subscriptions) for subscriptions in _SUBSCRIPTIONS]
    rates = [[await bench.turn(_EVENTS_PER_TURN) for bench in benches] for _ in range(turns)]
    figures = [
        Figure(
            f"events dispatched per second, {bench.subscriptions:,} subscriptions",
            median,
            "/s",
            50_000,
            at_least=True,
            details={"events per turn": _EVENTS_PER_TURN, "turns": turns},
        )
        for bench, median in zip(benches, medians(rates), strict=True)
    ]
    slowdown = statistics.median(max(row) / min(row) for row in rates)
    figures.append(Figure("fastest against slowest of these", slowdown, "x", 1.3))
    for bench in benches:
        await bench.tracker.close()
    return figures


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns.

    Returns:
        The figures.
    """
    return asyncio.run(_measure(turns=3 if quick else 9))
