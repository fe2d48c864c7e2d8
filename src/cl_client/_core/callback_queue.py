"""A queue of callbacks: in order, on the loop, each fault kept to itself."""

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
    """Calls back with one piece of news after the other.

    A plain function runs at once. Where a callback returns an awaitable, a task of this queue awaits it and
    what comes meanwhile lines up behind it, so that a slow callback holds up nobody else.

    Args:
        name: Whose callbacks these are, for the log; empty where the job says it.
        tasks: Takes the task that awaits, so that whoever closes the client can end it.
        limit: How many pieces of news may line up; the oldest give way. None for no limit.
        job_id: For the log records; None where the news are not about a job.
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
        """Call back now, or when the callbacks before it are through."""
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
        """Call once when everything is delivered, which may be now."""
        if self._waiting is None:
            call()
        else:
            self._on_idle = call

    def cancel(self) -> None:
        """Deliver nothing more. A callback that is running finishes; it may be the caller."""
        self._active = False
        self._waiting = None
        unstarted, self._unstarted = self._unstarted, None
        _close(unstarted)

    def _call(
        self, callback: Callable[[NewsT], Awaitable[None] | None], news: NewsT
    ) -> Awaitable[None] | None:
        try:
            result = callback(news)
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - logged, and nobody else's business
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
        except Exception as exc:  # noqa: BLE001 - logged, and nobody else's business
            self._log_fault(exc)

    def _log_fault(self, fault: BaseException) -> None:
        verb = "was cancelled" if isinstance(fault, asyncio.CancelledError) else "raised"
        extra = {"job_id": self._job_id} if self._job_id else None
        name = self._name or f"job {self._job_id}"
        logger.error("%s: a callback %s", name, verb, exc_info=fault, extra=extra)


def _close(unstarted: Awaitable[None] | None) -> None:
    """End a coroutine that was perhaps never started, or Python warns that it was never awaited."""
    if inspect.iscoroutine(unstarted):
        unstarted.close()
