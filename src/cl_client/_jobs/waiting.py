"""Listeners that wait for a job: until its end, or update by update."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from typing_extensions import override

from cl_client._errors import ClientClosedError
from cl_client._jobs.followed_job import FollowedJob, Listener

if TYPE_CHECKING:
    from cl_client.models import JobResponse


class Waiter(Listener):
    """Holds the end of a job for one waiting task.

    Args:
        max_interval: Maximum pause of the safety net in seconds during the wait; None for the config's.
    """

    __slots__ = ("_max_interval", "ended", "followed", "uninformed")

    def __init__(self, max_interval: float | None = None) -> None:
        self.followed: FollowedJob | None = None
        self.uninformed = False
        self._max_interval = max_interval
        self.ended: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()

    @property
    @override
    def max_interval(self) -> float | None:
        return self._max_interval

    @property
    def abandoned(self) -> bool:
        """Whether the wait ended before the job did."""
        return not self.ended.done() or self.ended.cancelled()

    @override
    def progress(self, job: JobResponse) -> None:
        """Ignore progress: only the end matters."""

    @override
    def complete(self, job: JobResponse) -> None:
        if not self.ended.done():
            self.ended.set_result(job)

    @override
    def failed(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
            self.ended.exception()  # marks it as retrieved: the waiting task may have been cancelled

    @override
    def cancel(self) -> None:
        self.failed(_closed(self))


class Watcher(Listener):
    """Holds the updates of a job until they are taken.

    There are at most about a hundred, because progress is in whole percent and never decreases.
    """

    __slots__ = ("followed", "uninformed", "updates")

    def __init__(self) -> None:
        self.followed: FollowedJob | None = None
        self.uninformed = False
        self.updates: asyncio.Queue[JobResponse | Exception] = asyncio.Queue()

    @override
    def progress(self, job: JobResponse) -> None:
        self.updates.put_nowait(job)

    @override
    def complete(self, job: JobResponse) -> None:
        self.updates.put_nowait(job)

    @override
    def failed(self, error: Exception) -> None:
        self.updates.put_nowait(error)

    @override
    def cancel(self) -> None:
        self.failed(_closed(self))


def _closed(listener: Listener) -> ClientClosedError:
    return ClientClosedError(None if listener.followed is None else listener.followed.job_id)
