"""What the tracker keeps of a followed job, and what those who follow it are like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import asyncio

    from cl_client.exceptions import ComputeClientError
    from cl_client.models import JobResponse


class Listener(Protocol):
    """What the tracker tells about a job: a `Subscription`, or somebody who waits."""

    def progress(self, job: JobResponse) -> None:
        """A change of status or progress."""

    def complete(self, job: JobResponse) -> None:
        """The full job, once."""


@runtime_checkable
class ErrorListener(Listener, Protocol):
    """A listener that also wants to know why the job could not be read."""

    def failed(self, error: ComputeClientError) -> None:
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
    running_since: float = 0.0
    hopeless_reads: int = 0
    """How many reads in a row had an answer that looks as if it would stay so."""
