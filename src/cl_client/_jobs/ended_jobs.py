"""Reads of jobs: one for all who ask at the same time, and none for a job that is known to have ended."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from cl_client.models import JobResponse

ResultT = TypeVar("ResultT")


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
