"""Listeners for whoever awaits a job: until its end, or update by update."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cl_client.models import JobResponse


class Waiter:
    """Holds the end of a job for one awaiting task."""

    __slots__ = ("ended",)

    def __init__(self) -> None:
        self.ended: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()

    @property
    def abandoned(self) -> bool:
        """Whether the wait ended before the job did."""
        return not self.ended.done() or self.ended.cancelled()

    def progress(self, job: JobResponse) -> None:
        """Nothing to do: only the end counts."""

    def complete(self, job: JobResponse) -> None:
        """The job has ended."""
        if not self.ended.done():
            self.ended.set_result(job)

    def failed(self, error: Exception) -> None:
        """It will not be known how the job ends."""
        if not self.ended.done():
            self.ended.set_exception(error)


class Watcher:
    """Holds a job's updates until they are taken.

    There are at most about a hundred of them, because progress is whole percents and never goes back.
    """

    __slots__ = ("updates",)

    def __init__(self) -> None:
        self.updates: asyncio.Queue[JobResponse | Exception] = asyncio.Queue()

    def progress(self, job: JobResponse) -> None:
        """One more update."""
        self.updates.put_nowait(job)

    def complete(self, job: JobResponse) -> None:
        """The last update."""
        self.updates.put_nowait(job)

    def failed(self, error: Exception) -> None:
        """There will be no more."""
        self.updates.put_nowait(error)
