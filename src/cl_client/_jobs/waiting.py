"""Waiting for a job: until its end, or update by update."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cl_client._core.telemetry import operation
from cl_client.models import JobTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client._client.runtime import Runtime
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


async def wait_for_end(
    runtime: Runtime,
    job_id: str,
    seconds: float | None,
    *,
    spent: float = 0.0,
    delete_on_cancel: bool,
    submitted: JobResponse | None = None,
    fresh: bool = False,
    poll_interval: float | None = None,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> JobResponse:
    """Wait until a job has ended.

    Args:
        runtime: Follows the job.
        job_id: The job.
        seconds: How long, None for no limit; it is what the error of a timeout says.
        spent: How many of these are over already.
        delete_on_cancel: Delete the job when this wait is cancelled or times out.
        submitted: See `JobTracker.follow`, like the next two.
        fresh: Whether no event can have been missed.
        poll_interval: The longest pause of the safety net.
        meanwhile: What else is to be done first, while the job is followed already.

    Raises:
        JobTimeoutError: The time is up.
        ComputeClientError: Its end will not be known.
    """
    tracker, waiter = runtime.tracker, Waiter()
    subscription_id = tracker.follow(
        job_id, waiter, submitted=submitted, fresh=fresh, max_interval=poll_interval
    )
    try:
        with operation("wait", job_id=job_id, task=submitted and submitted.task_type) as under_way:
            async with asyncio.timeout(None if seconds is None else seconds - spent):
                if meanwhile is not None:
                    await meanwhile()
                job = await waiter.ended
            under_way.note(task=job.task_type, status=job.status)
            return job
    except TimeoutError:
        raise JobTimeoutError(job_id, seconds or 0.0, tracker.last_known(job_id) or submitted) from None
    finally:
        tracker.unfollow(subscription_id)
        if delete_on_cancel and waiter.abandoned:
            await runtime.delete_abandoned(job_id)
