"""What the tracker keeps of a followed job, and what those who follow it are like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from cl_client._errors import JobNotFoundError
from cl_client._jobs.read_policy import MAX_BAD_READS, is_no_job, is_refusal
from cl_client.models import JobResponse, JobStatus

if TYPE_CHECKING:
    import asyncio

_RANK = {JobStatus.UNKNOWN: 0, JobStatus.QUEUED: 0, JobStatus.PROCESSING: 1}
_ENDED_RANK = 2


class Listener(ABC):
    """Whoever follows a job; told on the loop, by one of `complete`, `failed` and `cancel` at last.

    Attributes:
        max_refusals: After how many refusals in a row, of the server to tell of the job, it fails.
        max_bad_answers: After how many answers in a row that are no job.
        followed: The job, once it is followed.
        uninformed: Whether it has still to be told what the others know.
    """

    __slots__ = ()  # those who implement it have them

    max_refusals: ClassVar[float] = 1
    max_bad_answers: ClassVar[float] = MAX_BAD_READS

    followed: FollowedJob | None
    uninformed: bool

    @property
    def max_interval(self) -> float | None:
        """The longest pause of the safety net that it bears; None for the config's."""
        return None

    @abstractmethod
    def progress(self, job: JobResponse) -> None:
        """A change of status or progress."""

    @abstractmethod
    def complete(self, job: JobResponse) -> None:
        """The full job, once."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """It will not be known how the job ends."""

    @abstractmethod
    def cancel(self) -> None:
        """It follows no longer, or nobody follows for it: the client was closed."""


@dataclass(slots=True, eq=False)
class FollowedJob:
    """One job's state; ``job`` is the last one told, None until the first news."""

    job_id: str
    task_type: str
    max_interval: float | None = None
    job: JobResponse | None = None
    rank: int = -1
    percent: int = 0
    listeners: list[Listener] = field(default_factory=list[Listener])
    interval: float = 0.0
    heard_at: float = 0.0
    """When there was news last. The safety net's timer is not moved by news but looks here when it fires."""
    not_before: float = 0.0
    """The server has asked for no read before then."""
    timer: asyncio.TimerHandle | None = None
    ending: bool = False
    """An event said that it has ended; the full job is still to be read."""
    eventless_since: float | None = None
    """When it was submitted, if push was live before, and none of its events has come; see `PushHealth`."""
    running_since: float = 0.0
    failures: int = 0
    """How many reads in a row have failed; of them, in a row, the next two."""
    refusals: int = 0
    bad_answers: int = 0

    @property
    def runs(self) -> bool:
        """Whether a worker has it, or had it."""
        return self.rank >= _RANK[JobStatus.PROCESSING]

    def note_patience(self) -> None:
        """Find out anew how long the pauses may be: those who follow have changed."""
        wanted = [one.max_interval for one in self.listeners]
        self.max_interval = min((seconds for seconds in wanted if seconds is not None), default=None)

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

    def note_failure(self, error: Exception) -> None:
        """Count a read that failed, and which of these came in a row."""
        self.failures += 1
        # That the job is gone is told as its end to those who are patient.
        before = 0 if isinstance(error, JobNotFoundError) else self.refusals
        self.refusals = before + 1 if is_refusal(error) else 0
        self.bad_answers = self.bad_answers + 1 if is_no_job(error) else 0

    def is_hopeless_for(self, listener: Listener) -> bool:
        """Whether a listener has waited long enough for reads that fail for good."""
        return self.refusals >= listener.max_refusals or self.bad_answers >= listener.max_bad_answers

    def deleted(self, error: Exception) -> JobResponse:
        """The job as it is told of when the server no longer knows it."""
        known = self.job or JobResponse(
            job_id=self.job_id, task_type=self.task_type, status=JobStatus.DELETED, raw_status=""
        )
        return known.model_copy(update={"status": JobStatus.DELETED, "error_message": str(error)})
