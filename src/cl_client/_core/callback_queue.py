"""A queue of callbacks: called in order, on the event loop, with their errors contained."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client._core.owned_tasks import OwnedTasks

logger = get_logger("cl_client.callbacks")

NewsT = TypeVar("NewsT")


class CallbackQueue:
    """Calls callbacks one after another.

    A plain function runs at once. If a callback returns an awaitable, a task of this queue awaits it, and
    later items wait behind it. A slow callback therefore delays only its own queue.

    Args:
        name: Owner of the callbacks, for the log; empty to use the job id.
        tasks: Receives the task that awaits, so that closing the client ends it.
        limit: Maximum number of waiting items; the oldest ones are dropped. None for no limit.
        job_id: Job id for the log records; None if the items are not about a job.
    """

    __slots__ = ("_active", "_job_id", "_limit", "_name", "_on_idle", "_tasks", "_unstarted", "_waiting")

    def __init__(
        self,
        name: str,
        tasks: OwnedTasks,
        *,
        limit: int | None = None,
        job_id: str | None = None,
    ) -> None:
        self._name = name
        self._tasks = tasks
        self._limit = limit
        self._job_id = job_id
        self._waiting: deque[Callable[[], Awaitable[None] | None]] | None = None
        self._unstarted: Awaitable[None] | None = None
        self._active = True
        self._on_idle: Callable[[], object] | None = None

    def deliver(self, callback: Callable[[NewsT], Awaitable[None] | None], news: NewsT) -> None:
        """Call a callback now, or after the callbacks before it have finished.

        Args:
            callback: A plain function, or one that returns an awaitable. Its errors are logged.
            news: The argument of the callback.
        """
        if not self._active:
            return
        if self._waiting is not None:
            self._waiting.append(partial(self._call, callback, news))
            return
        self._unstarted = unstarted = self._call(callback, news)
        if unstarted is not None:
            self._waiting = deque(maxlen=self._limit)
            task = asyncio.ensure_future(self._drain())
            self._tasks.add(task)
            # It may be cancelled before its first step. This runs a turn after the task has ended, when the
            # next callback may already be waiting to start: so it closes only its own.
            task.add_done_callback(lambda _: _close(unstarted))

    def when_idle(self, call: Callable[[], object]) -> None:
        """Call a function once, as soon as everything is delivered.

        Args:
            call: Called immediately if the queue is idle already.
        """
        if self._waiting is None:
            call()
        else:
            self._on_idle = call

    def cancel(self) -> None:
        """Stop delivering. A callback that is running finishes, since it may be the caller."""
        self._active = False
        self._waiting = None
        unstarted, self._unstarted = self._unstarted, None
        _close(unstarted)

    def _call(
        self, callback: Callable[[NewsT], Awaitable[None] | None], news: NewsT
    ) -> Awaitable[None] | None:
        try:
            result = callback(news)
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - logged; must not affect others
            self._log_fault(exc)
            return None
        return result if inspect.isawaitable(result) else None

    async def _drain(self) -> None:
        awaitable, self._unstarted = self._unstarted, None
        try:
            while True:
                if awaitable is not None:
                    await self._await(awaitable)
                if not self._waiting:
                    return
                awaitable = self._waiting.popleft()()
        finally:
            self._waiting = None
            on_idle, self._on_idle = self._on_idle, None
            if on_idle is not None:
                on_idle()

    async def _await(self, awaitable: Awaitable[None]) -> None:
        try:
            await awaitable
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._log_fault(exc)
        except Exception as exc:  # noqa: BLE001 - logged; must not affect others
            self._log_fault(exc)

    def _log_fault(self, fault: BaseException) -> None:
        verb = "was cancelled" if isinstance(fault, asyncio.CancelledError) else "raised an error"
        extra = {"job_id": self._job_id} if self._job_id else None
        name = self._name or f"job {self._job_id}"
        logger.error("%s: a callback %s", name, verb, exc_info=fault, extra=extra)


def _close(unstarted: Awaitable[None] | None) -> None:
    """Close a coroutine that may not have started; otherwise Python warns that it was never awaited."""
    if inspect.iscoroutine(unstarted):
        unstarted.close()
