"""Events of jobs whose submit call has not returned yet: a fast job may end before its id is known."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cl_client.models import JobStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from cl_client.models import JobEvent

_JOBS: Final = 1000
_EVENTS_PER_JOB: Final = 128
"""A job has at most one event per percent and a few changes of status."""


class EarlyEvents:
    """Keeps events during submits, up to a limit; events of the oldest jobs are dropped first."""

    def __init__(self) -> None:
        self._submitting = 0
        self._events: OrderedDict[str, list[JobEvent]] = OrderedDict()

    @contextmanager
    def submitting(self) -> Generator[None]:
        """Keep events during a submit; otherwise none are kept."""
        if not self._submitting:
            self._events.clear()  # left over from earlier submits
        self._submitting += 1
        try:
            yield
        finally:
            self._submitting -= 1

    def keep(self, event: JobEvent) -> None:
        """Keep an event of a job that is not followed yet.

        Args:
            event: The event.
        """
        if not self._submitting:
            return
        events = self._events.setdefault(event.job_id, [])
        if len(events) < _EVENTS_PER_JOB or JobStatus.from_wire(event.event_type).is_terminal:
            events.append(event)
        while len(self._events) > _JOBS:
            self._events.popitem(last=False)

    def take(self, job_id: str) -> Sequence[JobEvent]:
        """Remove and return the events of a job that is followed from now on.

        Args:
            job_id: The job.

        Returns:
            The events in the order of arrival.
        """
        return self._events.pop(job_id, ())
