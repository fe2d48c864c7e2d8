"""One subscription to one job: its callbacks, in order, each fault kept to itself."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client.models import JobResponse, TaskOutput
    from cl_client.plugins.base import JobCallback

logger = logging.getLogger("cl_client.jobs")


class Subscription:
    """Delivers a job's updates to one pair of callbacks.

    A plain function runs at once. Where a callback returns an awaitable, a task of this subscription awaits
    it and what comes meanwhile queues up behind it, so that a slow callback holds up nobody else.
    """

    __slots__ = ("_active", "_on_complete", "_on_progress", "_on_task", "_queue", "job_id")

    def __init__(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None,
        on_complete: JobCallback[TaskOutput] | None,
        on_task: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.job_id = job_id
        self._on_progress = on_progress
        self._on_complete = on_complete
        self._on_task = on_task
        self._queue: deque[tuple[JobCallback[TaskOutput], JobResponse]] | None = None
        self._active = True

    def progress(self, job: JobResponse) -> None:
        """Deliver a change."""
        if self._on_progress is not None:
            self._deliver(self._on_progress, job)

    def complete(self, job: JobResponse) -> None:
        """Deliver the end."""
        if self._on_complete is not None:
            self._deliver(self._on_complete, job)

    def cancel(self) -> None:
        """Deliver nothing more. A callback that is running finishes; it may be the caller."""
        self._active = False
        self._queue = None

    def _deliver(self, callback: JobCallback[TaskOutput], job: JobResponse) -> None:
        if not self._active:
            return
        if self._queue is not None:
            self._queue.append((callback, job))
            return
        awaitable = self._call(callback, job)
        if awaitable is not None:
            self._queue = deque()
            self._on_task(asyncio.ensure_future(self._drain(awaitable)))

    def _call(self, callback: JobCallback[TaskOutput], job: JobResponse) -> Awaitable[None] | None:
        try:
            result = callback(job)
        except Exception as exc:  # noqa: BLE001 - logged, and nobody else's business
            self._log_fault(exc)
            return None
        return result if inspect.isawaitable(result) else None

    async def _drain(self, awaitable: Awaitable[None] | None) -> None:
        try:
            while True:
                if awaitable is not None:
                    await self._await(awaitable)
                if not self._queue:
                    return
                callback, job = self._queue.popleft()
                awaitable = self._call(callback, job)
        finally:
            self._queue = None

    async def _await(self, awaitable: Awaitable[None]) -> None:
        try:
            await awaitable
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            logger.warning("job %s: a callback was cancelled", self.job_id, extra={"job_id": self.job_id})
        except Exception as exc:  # noqa: BLE001 - logged, and nobody else's business
            self._log_fault(exc)

    def _log_fault(self, fault: Exception) -> None:
        extra = {"job_id": self.job_id}
        logger.error("job %s: a callback raised", self.job_id, exc_info=fault, extra=extra)
