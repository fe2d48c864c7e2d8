"""What the tracker keeps of a followed job, and what those who follow it are like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cl_client.models import JobStatus

if TYPE_CHECKING:
    import asyncio

    from cl_client.models import JobResponse

_RANK = {JobStatus.UNKNOWN: 0, JobStatus.QUEUED: 0, JobStatus.PROCESSING: 1}
_ENDED_RANK = 2


class Listener(Protocol):
    """What the tracker tells about a job: a `Subscription`, or somebody who waits."""

    def progress(self, job: JobResponse) -> None:
        """A change of status or progress."""

    def complete(self, job: JobResponse) -> None:
        """The full job, once."""


@runtime_checkable
class ErrorListener(Listener, Protocol):
    """A listener that also wants to know why the job could not be read."""

    def failed(self, error: Exception) -> None:
        """Reading the job met an error that repeating cannot mend, or the job is gone."""


@dataclass(slots=True, eq=False)
class FollowedJob:
    """One job's state; ``job`` is the last one told, None until the first news."""

    job_id: str
    task_type: str
    max_interval: float | None = None
    job: JobResponse | None = None
    rank: int = -1
    percent: int = 0
    listeners: dict[str, Listener] = field(default_factory=dict[str, Listener])
    uninformed: set[str] | None = None
    """Those who came when the state was known already, and have not been told of it yet."""
    interval: float = 0.0
    heard_at: float = 0.0
    """When there was news last. The safety net's timer is not moved by news but looks here when it fires."""
    timer: asyncio.TimerHandle | None = None
    ending: bool = False
    """An event said that it has ended; the full job is still to be read."""
    eventless_since: float | None = None
    """When it was submitted, if push was live before, and none of its events has come; see `PushHealth`."""
    running_since: float = 0.0
    bad_reads: int = 0
    """How many reads in a row had an answer that looks as if it would stay so."""

    @property
    def runs(self) -> bool:
        """Whether a worker has it, or had it."""
        return self.rank >= _RANK[JobStatus.PROCESSING]

    def advance(self, status: JobStatus, percent: int) -> bool:
        """Take in a state that was told of it; False where that is no news, as jobs do not go back."""
        rank = _RANK.get(status, _ENDED_RANK)
        percent = max(percent, self.percent)
        if rank < self.rank or (rank == self.rank and percent == self.percent):
            return False
        self.rank, self.percent = rank, percent
        return True

    def not_behind(self, job: JobResponse) -> JobResponse:
        """The job as HTTP told it, but no further back than what is known already."""
        rank = _RANK.get(job.status, _ENDED_RANK)
        if self.rank <= rank and self.percent <= job.progress:
            return job
        known = {"progress": self.percent}
        if job.status is not JobStatus.UNKNOWN and self.job is not None and self.rank > rank:
            known |= {"status": self.job.status, "raw_status": self.job.raw_status}
        return job.model_copy(update=known)
