"""Somebody who follows a job, and keeps account of what it was told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from patience import soon, within

if TYPE_CHECKING:
    from cl_client import JobResponse


class Log:
    """What a subscriber was told; `broken_promises` looks at all of them after each test."""

    made: ClassVar[list[Log]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.told: list[tuple[str, int]] = []
        self.ended: list[JobResponse] = []
        self.late: list[JobResponse] = []
        self.done = asyncio.Event()
        self._news = asyncio.Event()

    def progress(self, job: JobResponse) -> None:
        if self.ended:
            self.late.append(job)  # what a callback raises is logged, and fails no test
        self.told.append((job.status.value, job.progress))
        self._news.set()

    def complete(self, job: JobResponse) -> None:
        self.ended.append(job)
        self.done.set()

    async def was_told(self, status: str, progress: int = 0) -> None:
        """Wait until the job was in a status, at some progress or past it."""
        async with within():
            while not any(word == status and reached >= progress for word, reached in self.told):
                self._news.clear()
                await self._news.wait()

    async def the_end(self) -> JobResponse:
        """The full job, of whose end there was one word."""
        await soon(self.done.wait())
        assert len(self.ended) == 1
        return self.ended[0]


def broken_promises() -> list[str]:
    """Of all logs that were made since this was asked last: who was told of two ends, or of more after it."""
    logs, Log.made = Log.made, []
    return [
        f"{len(log.ended)} ends, and then {[job.status.value for job in log.late]}"
        for log in logs
        if len(log.ended) > 1 or log.late
    ]
