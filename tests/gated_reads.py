"""Reads of jobs that a test lets end one by one, and what became of them."""

from __future__ import annotations

import asyncio

from cl_client import JobResponse
from cl_client._jobs.reader import JobReader


def job_of(job_id: str, status: str) -> JobResponse:
    return JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": status})


class Outcomes:
    """What became of the reads."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.failed: list[str] = []
        self.errors: list[Exception] = []
        self.news = asyncio.Event()

    def on_read(self, job_id: str, job: JobResponse) -> None:
        assert job.job_id == job_id
        self.read.append(job_id)
        self.news.set()

    def on_read_failed(self, job_id: str, error: Exception) -> None:
        assert error
        self.failed.append(job_id)
        self.errors.append(error)
        self.news.set()


class Reader:
    """Reads that a test lets end one by one."""

    def __init__(self, limit: int) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._gates: dict[str, asyncio.Future[JobResponse]] = {}
        self.jobs = JobReader(self._fetch, limit=limit, cache_size=2)

    async def _fetch(self, job_id: str) -> JobResponse:
        self.begun.append(job_id)
        gate: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()
        self._gates[job_id] = gate
        try:
            return await gate
        finally:
            await asyncio.sleep(0)  # as a request that closes its connection
            self.ended.append(job_id)

    async def end(self, job_id: str) -> None:
        self._gates[job_id].set_result(job_of(job_id, "completed"))
        await settle()

    async def fail(self, job_id: str, error: Exception) -> None:
        self._gates[job_id].set_exception(error)
        await settle()

    async def cancel_inside(self, job_id: str) -> None:
        """What it waits for is cancelled, not the read."""
        self._gates[job_id].cancel()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
