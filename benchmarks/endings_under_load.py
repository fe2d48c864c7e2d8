"""The delay of `on_complete` while files are being submitted, by a few submitters and by many.

It is measured from the arrival of the broker's event at a bare paho client to `on_complete` here, for the
jobs whose event arrived before the last submit. Server, broker and bare client are separate processes.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from brokers import BROKER, mosquitto
from figures import Figure
from null_server import ServerOptions, null_client, null_server
from null_task import NULL
from raw_ends import HEARD

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from null_server import Addresses
    from raw_ends import Heard

    from cl_client import JobResponse

_FEW, _MANY = 4, 64
_PROGRAM = str(Path(__file__).with_name("raw_ends.py"))
_CONNECT_SECONDS = 10
_WAIT_SECONDS = 300


class _Turn(NamedTuple):
    """One turn: delays of the ends and durations of bare reads in milliseconds, and submits per second."""

    delays: list[float]
    reads: list[float]
    per_second: float

    @property
    def late(self) -> float:
        return _percentile_95(self.delays)


def _percentile_95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


@contextmanager
def _bare_listener(addresses: Addresses) -> Generator[Callable[[], Heard]]:
    """Run the bare client; the function returns the events since its last call."""
    command = [sys.executable, _PROGRAM, addresses.mqtt_url, addresses.base_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
        stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)

        def heard() -> Heard:
            stdin.write(b"\n")
            stdin.flush()
            return HEARD.validate_json(stdout.readline())

        stdout.readline()
        yield heard
        stdin.close()


async def _submit_all(addresses: Addresses, submitters: int, jobs: int) -> tuple[dict[str, int], int]:
    """The time of each job's callback, and the time of the last submit."""
    told: dict[str, int] = {}
    all_told = asyncio.Event()

    def on_complete(job: JobResponse) -> None:
        told[job.job_id] = time.monotonic_ns()
        job.raise_for_status()
        if len(told) == jobs:
            all_told.set()

    async with null_client(addresses) as client:
        if not await client.mqtt_monitor.wait_connected(_CONNECT_SECONDS):
            raise RuntimeError("the broker does not respond")
        left = iter(range(jobs))

        async def submit() -> None:
            for _ in left:
                await client.submit_job(NULL, b"x", {"priority": "5"}, {"on_complete": on_complete})

        async with asyncio.TaskGroup() as group:
            for _ in range(submitters):
                group.create_task(submit())
        submitted = time.monotonic_ns()
        await asyncio.wait_for(all_told.wait(), _WAIT_SECONDS)
    return told, submitted


def _turn(addresses: Addresses, heard: Callable[[], Heard], submitters: int, jobs: int) -> _Turn:
    heard()
    begun = time.monotonic_ns()
    told, submitted = asyncio.run(_submit_all(addresses, submitters, jobs))
    ended, reads = heard()
    delays = [(at - ended[job_id]) / 1e6 for job_id, at in told.items() if ended[job_id] < submitted]
    return _Turn(delays, [read / 1e6 for read in reads], jobs / (submitted - begun) * 1e9)


def _figure(submitters: int, turns: list[_Turn], target: float | None = None) -> Figure:
    return Figure(
        f"95th percentile from an end's event to its callback, {submitters} submitters",
        statistics.median(turn.late for turn in turns),
        "ms",
        target,
        details={
            "median ms": round(statistics.median(statistics.median(turn.delays) for turn in turns), 1),
            "a bare read's 95th percentile ms": round(
                statistics.median(_percentile_95(turn.reads) for turn in turns), 1
            ),
            "submits per second": round(statistics.median(turn.per_second for turn in turns)),
            "ends meanwhile": sum(len(turn.delays) for turn in turns),
            "turns": len(turns),
            "broker": BROKER,
        },
    )


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer jobs and turns.

    Returns:
        The figures.
    """
    jobs, turns = (400, 1) if quick else (1500, 3)
    few: list[_Turn] = []
    many: list[_Turn] = []
    with (
        mosquitto() as broker,
        null_server(ServerOptions(mqtt_url=broker.url)) as addresses,
        _bare_listener(addresses) as heard,
    ):
        _turn(addresses, heard, _FEW, 50)
        for _ in range(turns):
            few.append(_turn(addresses, heard, _FEW, jobs))
            many.append(_turn(addresses, heard, _MANY, jobs))
    ratio = statistics.median(after.late / before.late for before, after in zip(few, many, strict=True))
    return [
        _figure(_FEW, few),
        _figure(_MANY, many, 500),
        Figure(f"the same, {_MANY} submitters against {_FEW}", ratio, "x", 2),
    ]
