"""Reads of jobs: one for all who ask at the same time, and none for a job that is known to have ended."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakValueDictionary

from cl_client.exceptions import ClientClosedError
from cl_client.owned_tasks import OwnedTasks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from cl_client.models import JobResponse

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class _Flight(Generic[ResultT]):
    task: asyncio.Task[ResultT]
    waiting: int = 0


class SharedReads(Generic[ResultT]):
    """One read for all callers that ask for the same while it is under way."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[ResultT]] = {}
        self._tasks = OwnedTasks()
        self._closed = False

    async def get(self, key: str, read: Callable[[], Coroutine[None, None, ResultT]]) -> ResultT:
        """Join the read of that key, or begin one; it ends with the last caller that waits for it.

        Raises:
            ClientClosedError: It was closed meanwhile.
        """
        flight = self._flights.get(key)
        if flight is None or flight.task.done():  # joining one that is over would give no turn to the loop
            flight = self._flights[key] = _Flight(self._begun(read))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if self._closed and not (caller and caller.cancelling()):
                raise ClientClosedError from None
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()
                await asyncio.wait([flight.task])

    async def close(self) -> None:
        """End the reads that are under way; whoever waits for one is told."""
        self._closed = True
        await self._tasks.cancel()

    def _begun(self, read: Callable[[], Coroutine[None, None, ResultT]]) -> asyncio.Task[ResultT]:
        task = asyncio.create_task(read())
        self._tasks.add(task)
        return task

    def renew(self, key: str) -> None:
        """Let nobody join the read that is under way: what it reads is no longer true."""
        self._flights.pop(key, None)


class JobReading:
    """The reads of one job that are under way."""

    __slots__ = ("__weakref__", "outdated")

    def __init__(self) -> None:
        self.outdated = False


class EndedJobs:
    """The jobs last seen ended, which no longer change.

    Args:
        limit: How many; the one that was not asked for longest goes first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: OrderedDict[str, JobResponse] = OrderedDict()
        # Held by those who read, and gone with the last of them.
        self._readings: WeakValueDictionary[str, JobReading] = WeakValueDictionary()

    def get(self, job_id: str) -> JobResponse | None:
        """The job, if it is known to have ended."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._jobs.move_to_end(job_id)
        return job

    def reading(self, job_id: str) -> JobReading:
        """A read of the job begins."""
        return self._readings.setdefault(job_id, JobReading())

    def note(self, job: JobResponse, reading: JobReading) -> None:
        """Keep the job if it has ended, unless it was forgotten since that reading began."""
        if job.status.is_terminal and not reading.outdated:
            self._jobs[job.job_id] = job
            self._jobs.move_to_end(job.job_id)
            while len(self._jobs) > self._limit:
                self._jobs.popitem(last=False)

    def forget(self, job_id: str) -> None:
        """The job was deleted; a read that is under way may still find it."""
        self._jobs.pop(job_id, None)
        if (reading := self._readings.pop(job_id, None)) is not None:
            reading.outdated = True
