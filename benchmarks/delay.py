"""The delay from a job's last event to the callback with the full job, under a stream of events."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import httpx
from brokers import BROKER, mosquitto
from figures import Figure
from pydantic import TypeAdapter
from replay_jobs import EVENTS_PER_JOB, job_id_of

from cl_client import ComputeClient, ComputeClientConfig, JobResponse
from support import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cl_client.models import JSONObject

_EVENTS_PER_SECOND = 1000
_TIMES = TypeAdapter(dict[str, int])
_PROGRAM = str(Path(__file__).with_name("replay_jobs.py"))


@contextmanager
def _jobs() -> Generator[str]:
    """A server from which jobs can be read."""
    port = free_port()
    with subprocess.Popen([sys.executable, _PROGRAM, "http", str(port)]) as process:  # noqa: S603 - our own
        base_url = f"http://127.0.0.1:{port}"
        while True:
            try:
                httpx.get(base_url)
            except httpx.ConnectError:
                time.sleep(0.05)
            else:
                break
        yield base_url
        process.kill()


async def _follow(base_url: str, broker_url: str, jobs: int, begin: Callable[[], None]) -> dict[str, int]:
    """The time of each job's callback."""
    ended: dict[str, int] = {}
    queued: set[str] = set()
    all_known, all_ended = asyncio.Event(), asyncio.Event()

    def on_progress(job: JobResponse) -> None:
        queued.add(job.job_id)
        if len(queued) == jobs:
            all_known.set()

    def on_complete(job: JobResponse) -> None:
        ended[job.job_id] = time.monotonic_ns()
        if len(ended) == jobs:
            all_ended.set()

    # Without the safety net, whose second read of a job would count as its end.
    config = ComputeClientConfig.create(
        base_url=base_url, mqtt_broker=broker_url, poll_min=3600, poll_interval=3600, poll_interval_push=3600
    )
    async with ComputeClient(config=config) as client:
        if not await client.mqtt_monitor.wait_connected(10):
            raise RuntimeError("the broker does not respond")
        for number in range(jobs):
            client.subscribe_job_updates(job_id_of(number), on_progress, on_complete)
        await asyncio.wait_for(all_known.wait(), 120)
        begin()
        await asyncio.wait_for(all_ended.wait(), 120)
    return ended


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer jobs.

    Returns:
        The figures.
    """
    jobs = 400 if quick else 2000
    with mosquitto() as broker, _jobs() as base_url:
        command = [sys.executable, _PROGRAM, "events", broker.url, str(jobs), str(_EVENTS_PER_SECOND)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as events:  # noqa: S603 - our own
            stdin, stdout = cast("IO[bytes]", events.stdin), cast("IO[bytes]", events.stdout)

            def begin() -> None:
                stdin.write(b"go\n")
                stdin.flush()

            ended = asyncio.run(_follow(base_url, broker.url, jobs, begin))
            announced = _TIMES.validate_json(stdout.readline())
    milliseconds = [(ended[job_id] - at) / 1e6 for job_id, at in announced.items()]
    details: JSONObject = {
        "events per second": _EVENTS_PER_SECOND,
        "completions per second": _EVENTS_PER_SECOND // EVENTS_PER_JOB,
        "jobs": jobs,
        "broker": BROKER,
    }
    percentile = statistics.quantiles(milliseconds, n=100)[-1]
    return [
        Figure("completion to callback", statistics.median(milliseconds), "ms", 2, details=details),
        Figure("completion to callback, 99th percentile", percentile, "ms", 20, details=details),
    ]
