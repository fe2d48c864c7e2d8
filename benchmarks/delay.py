"""From a server's word that a job has ended to the callback with the full job, under a stream of events."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from figures import Figure
from null_server import ADDRESSES, Addresses
from replay_server import EVENTS_PER_JOB, job_id_of

from cl_client import ComputeClient, JobResponse
from support import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Generator

    from cl_client.models import JSONObject

_EVENTS_PER_SECOND = 1000
_BROKER = "mosquitto"


@contextmanager
def _broker() -> Generator[str]:
    """A Mosquitto where it is installed; otherwise nothing, for the one inside the server."""
    program = shutil.which(_BROKER, path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")
    if program is None:
        yield ""
        return
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(program, Path(folder), "allow_anonymous true\nset_tcp_nodelay true")
        broker.start()
        yield broker.url
        broker.kill()


async def _follow(addresses: Addresses, jobs: int, server_stdin: IO[bytes]) -> list[float]:
    """The delay of every job in seconds."""
    delays: list[float] = []
    queued: set[str] = set()
    all_known, all_ended = asyncio.Event(), asyncio.Event()

    def on_progress(job: JobResponse) -> None:
        queued.add(job.job_id)
        if len(queued) == jobs:
            all_known.set()

    def on_complete(job: JobResponse) -> None:
        announced = int(str((job.task_output or {})["announced"]))
        delays.append((time.monotonic_ns() - announced) / 1e9)
        if len(delays) == jobs:
            all_ended.set()

    async with ComputeClient(addresses.base_url, mqtt_broker=addresses.mqtt_url) as client:
        if not await client.mqtt_monitor.wait_connected(10):
            raise RuntimeError("the broker does not answer")
        for number in range(jobs):
            client.subscribe_job_updates(job_id_of(number), on_progress, on_complete)
        await asyncio.wait_for(all_known.wait(), 120)
        server_stdin.write(b"go\n")
        server_stdin.flush()
        await asyncio.wait_for(all_ended.wait(), 120)
    return delays


def measure(*, quick: bool) -> list[Figure]:
    """All figures of this file."""
    jobs = 400 if quick else 2000
    with _broker() as broker_url:
        program = str(Path(__file__).with_name("replay_server.py"))
        command = [sys.executable, program, str(jobs), str(_EVENTS_PER_SECOND), broker_url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:  # noqa: S603 - our own
            addresses = ADDRESSES.validate_json(cast("IO[bytes]", server.stdout).readline())
            stdin = cast("IO[bytes]", server.stdin)
            delays = sorted(asyncio.run(_follow(addresses, jobs, stdin)))
            stdin.close()
    milliseconds = [1000 * delay for delay in delays]
    details: JSONObject = {
        "events per second": _EVENTS_PER_SECOND,
        "completions per second": _EVENTS_PER_SECOND // EVENTS_PER_JOB,
        "jobs": jobs,
        "broker": _BROKER if broker_url else "embedded",
    }
    percentile = statistics.quantiles(milliseconds, n=100)[-1]
    return [
        Figure("completion to callback", statistics.median(milliseconds), "ms", 2, details=details),
        Figure("completion to callback, 99th percentile", percentile, "ms", 20, details=details),
    ]
