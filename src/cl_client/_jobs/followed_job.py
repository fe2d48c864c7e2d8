"""The state of a followed job, and the interface of its listeners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from cl_client._http_errors import JobNotFoundError
from cl_client._jobs.read_policy import MAX_BAD_READS, is_no_job, is_refusal
from cl_client.models import JobResponse, JobStatus

if TYPE_CHECKING:
    import asyncio

_RANK = {JobStatus.UNKNOWN: 0, JobStatus.QUEUED: 0, JobStatus.PROCESSING: 1}
_ENDED_RANK = 2


class Listener(ABC):
    """Follows a job; called on the event loop. The last call is `complete`, `failed` or `cancel`.

    Attributes:
        max_refusals: Refused reads in a row after which the listener fails.
        max_bad_answers: Responses in a row that are not a job, after which it fails.
        followed: The state of the job, while it is followed.
        uninformed: Whether it has not yet been given the known state of the job.
    """

    __slots__ = ()  # subclasses define them

    max_refusals: ClassVar[float] = 1
    max_bad_answers: ClassVar[float] = MAX_BAD_READS

    followed: FollowedJob | None
    uninformed: bool

    @property
    def max_interval(self) -> float | None:
        """Maximum pause of the safety net in seconds; None for the config's."""
        return None

    @abstractmethod
    def progress(self, job: JobResponse) -> None:
        """Handle a change of status or progress.

        Args:
            job: The job.
        """

    @abstractmethod
    def complete(self, job: JobResponse) -> None:
        """Handle the end of the job; called once.

        Args:
            job: The full job.
        """

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """Handle an error after which the job is no longer followed.

        Args:
            error: The reason.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Stop: the listener was removed, or the client was closed."""


@dataclass(slots=True, eq=False)
class FollowedJob:
    """The state of one job; ``job`` is the last reported one, None before the first."""

    job_id: str
    task_type: str
    max_interval: float | None = None
    job: JobResponse | None = None
    rank: int = -1
    percent: int = 0
    listeners: list[Listener] = field(default_factory=list[Listener])
    interval: float = 0.0
    heard_at: float = 0.0
    """Time of the last news. The timer of the safety net is not rescheduled; it reads this when it fires."""
    not_before: float = 0.0
    """Earliest time of the next read, by request of the server."""
    timer: asyncio.TimerHandle | None = None
    ending: bool = False
    """An event reported the end; the full job must still be read."""
    eventless_since: float | None = None
    """Time of its submit if push was live before and no event has arrived since; see `PushHealth`."""
    running_since: float = 0.0
    failures: int = 0
    """Failed reads in a row. ``refusals`` and ``bad_answers`` count those of one kind in a row."""
    refusals: int = 0
    bad_answers: int = 0

    @property
    def runs(self) -> bool:
        """Whether a worker has started it."""
        return self.rank >= _RANK[JobStatus.PROCESSING]

    def note_patience(self) -> None:
        """Recompute the maximum pause after a change of listeners."""
        wanted = [one.max_interval for one in self.listeners]
        self.max_interval = min((seconds for seconds in wanted if seconds is not None), default=None)

    def release(self) -> None:
        """Detach all listeners and stop the timer."""
        for listener in self.listeners:
            listener.followed = None
        self.listeners.clear()
        if self.timer is not None:
            self.timer.cancel()

    def advance(self, status: JobStatus, percent: int) -> bool:
        """Record a reported state, unless it is older than the known one.

        Args:
            status: The reported status.
            percent: The reported progress, 0-100.

        Returns:
            Whether the state has changed.
        """
        rank = _RANK.get(status, _ENDED_RANK)
        percent = max(percent, self.percent)
        if rank < self.rank or (rank == self.rank and percent == self.percent):
            return False
        self.rank, self.percent = rank, percent
        return True

    def not_behind(self, job: JobResponse) -> JobResponse:
        """Adjust a job from an HTTP read so that it does not go back behind the known state.

        Args:
            job: The job as it was read.

        Returns:
            The job with the newer status and progress.
        """
        rank = _RANK.get(job.status, _ENDED_RANK)
        if self.rank <= rank and self.percent <= job.progress:
            return job
        known = {"progress": self.percent}
        if job.status is not JobStatus.UNKNOWN and self.job is not None and self.rank > rank:
            known |= {"status": self.job.status, "raw_status": self.job.raw_status}
        return job.model_copy(update=known)

    def note_failure(self, error: Exception) -> None:
        """Count a failed read.

        Args:
            error: The error of the read.
        """
        self.failures += 1
        # Listeners that tolerate refusals are given a missing job as deleted.
        before = 0 if isinstance(error, JobNotFoundError) else self.refusals
        self.refusals = before + 1 if is_refusal(error) else 0
        self.bad_answers = self.bad_answers + 1 if is_no_job(error) else 0

    def is_hopeless_for(self, listener: Listener) -> bool:
        """Check whether a listener has reached its limit of failed reads.

        Args:
            listener: The listener.

        Returns:
            True if it must fail.
        """
        return self.refusals >= listener.max_refusals or self.bad_answers >= listener.max_bad_answers

    def deleted(self, error: Exception) -> JobResponse:
        """Make the job that listeners are given when the server does not find it.

        Args:
            error: The error of the read.

        Returns:
            The last known job with the status ``deleted``.
        """
        known = self.job or JobResponse(
            job_id=self.job_id, task_type=self.task_type, status=JobStatus.DELETED, raw_status=""
        )
        return known.model_copy(update={"status": JobStatus.DELETED, "error_message": str(error)})
