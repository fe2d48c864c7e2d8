"""Jobs that do nothing through a local server with two workers, against huey and dramatiq on Redis.

A job of the local server is an upload of 1 KiB from a file, a row in its database, its five MQTT messages and
a read of its end; the others have an argument of 1 KiB, an entry in Redis, and a result. Every process
counts: this one with the client, the server, its workers and its broker. Each has run some
jobs before.

Nothing is deleted between the turns: for minutes after many files were deleted, ext4 takes ten times as long
to create one, since it looks through those that were deleted lately.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psutil
import redis_queues
from figures import Figure
from null_server import NullServerProcess, ServerOptions, null_client
from null_task import NULL
from redis_queues import Cost, cpu_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from cl_client import ComputeClient, JobResponse, JSONObject

_WORKERS = 2
_SUBMITTING = 16
_WARM_UP = 200
_FEW = 200
_MANY = 20_000
_UPLOAD_BYTES = 1024
_CPU_TARGET = 7
_KIB = 1024


class _Local:
    """The local server in its process, and a client in this one."""

    def __init__(self, server: NullServerProcess, client: ComputeClient, upload: Path) -> None:
        self.server = server
        self._client = client
        self._upload = upload
        self._gate = upload.with_name("gate")

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, folder: Path) -> AsyncGenerator[_Local]:
        """Run both while the context is open, and some jobs before it.

        Args:
            folder: Empty; its files are left there.

        Yields:
            Both.
        """
        upload = folder / "upload.bin"
        upload.write_bytes(b"x" * _UPLOAD_BYTES)
        server = NullServerProcess(ServerOptions(workers=_WORKERS, data_dir=folder / "data"))
        try:
            async with null_client(server.start()) as client:
                if not await client.mqtt_monitor.wait_connected(10):
                    raise RuntimeError("the broker does not respond")
                local = cls(server, client, upload)
                await local.run(_WARM_UP)
                yield local
        finally:
            server.stop()

    async def run(self, jobs: int, *, queued_first: bool = False) -> tuple[Cost, float]:
        """Run a number of jobs, each followed to its end.

        Args:
            jobs: How many.
            queued_first: Occupy the workers until all jobs are queued.

        Returns:
            What they took, and by how many KiB the server grew for each while they were queued.
        """
        ended: set[str] = set()
        all_ended = asyncio.Event()

        def on_complete(job: JobResponse) -> None:
            job.raise_for_status()
            ended.add(job.job_id)
            if len(ended) == jobs:
                all_ended.set()

        left = iter(range(jobs))

        async def submit() -> None:
            for _ in left:
                await self._client.submit_job(NULL, self._upload, {}, {"on_complete": on_complete})

        if queued_first:
            self._gate.touch()
            for _ in range(_WORKERS):
                await self._client.submit_job(NULL, self._upload, {"while_exists": str(self._gate)})
        memory = self._server_memory()
        before, begin = cpu_seconds(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(_SUBMITTING):
                group.create_task(submit())
        grown = (self._server_memory() - memory) / _KIB / jobs
        self._gate.unlink(missing_ok=True)
        await asyncio.wait_for(all_ended.wait(), 3600)
        return Cost(jobs, time.perf_counter() - begin, cpu_seconds() - before), grown

    def _server_memory(self) -> int:
        return cast("int", psutil.Process(self.server.pid).memory_info().rss)


async def _local_costs(jobs: int, folder: Path) -> Cost:
    async with _Local.running(folder) as local:
        cost, _ = await local.run(jobs)
    return cost


async def _queued_costs(many: int, folder: Path) -> tuple[Cost, Cost, float]:
    """Run a few jobs several times, then many, that are all queued before the first runs."""
    async with _Local.running(folder) as local:
        few = [(await local.run(_FEW, queued_first=True))[0] for _ in range(7)]
        median = sorted(few, key=lambda cost: cost.cpu)[len(few) // 2]
        cost, grown = await local.run(many, queued_first=True)
    return median, cost, grown


def _peer_costs(peer: redis_queues.Peer, jobs: int) -> Cost:
    with redis_queues.running(peer) as running:
        running.run(_WARM_UP)
        return running.run(jobs)


def _new(folders: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folders))


def _against_peers(jobs: int, folders: Path) -> list[Figure]:
    problem = redis_queues.why_not()
    local = asyncio.run(_local_costs(jobs, _new(folders)))
    figures = [
        Figure(
            f"{jobs:,} jobs that do nothing, for each second of processor time",
            jobs / local.cpu,
            "jobs/s",
            details={**_details(local), "peers": problem or "installed"},
        )
    ]
    if problem:
        return figures
    for peer, cpu_target, time_target in (
        (redis_queues.HUEY, _CPU_TARGET, None),
        (redis_queues.DRAMATIQ, None, 1.0),
    ):
        cost = _peer_costs(peer, jobs)
        figures += [
            Figure(
                f"processor time of these jobs against {peer.name} on Redis",
                local.cpu / cost.cpu,
                "x",
                cpu_target,
                details=_details(cost),
            ),
            Figure(
                f"time of these jobs against {peer.name} on Redis",
                local.seconds / cost.seconds,
                "x",
                time_target,
            ),
        ]
    return figures


def _details(cost: Cost) -> JSONObject:
    return {"CPU ms per job": round(cost.cpu_ms, 2), "seconds": round(cost.seconds, 1)}


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Run fewer jobs.

    Returns:
        The figures.
    """
    jobs = 2_000 if quick else _MANY
    with tempfile.TemporaryDirectory() as folder:
        folders = Path(folder)
        few, many, grown = asyncio.run(_queued_costs(jobs, _new(folders)))
        against_peers = _against_peers(jobs, folders)
    return [
        *against_peers,
        Figure(
            f"processor time per job at {jobs:,} queued jobs against {_FEW}",
            many.cpu_ms / few.cpu_ms,
            "x",
            1.05,  # no more, but for noise
            details={f"ms at {_FEW}": round(few.cpu_ms, 2), f"ms at {jobs:,}": round(many.cpu_ms, 2)},
        ),
        Figure("memory of the server per queued job", grown, "KiB", 1.0, details={"jobs": jobs}),
    ]
