"""Which followed jobs are read over HTTP next: a bounded number at once, endings first."""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = get_logger("cl_client.jobs")


class ReadReason(StrEnum):
    """Why a job is read."""

    ENDING = "ending"
    """An event said that it has ended: the one read that every job needs."""
    FIRST = "first"
    """It was not followed from its submit on, so that events may have been missed."""
    WORKER_IDLE = "worker_idle"
    """A worker that may have run it turned idle."""
    RECONCILE = "reconcile"
    """Push came back, or messages were dropped."""
    DELETED = "deleted"
    """This client has asked for it to be deleted."""
    SAFETY_NET = "safety_net"
    """There was no news for a while."""


class ReadQueue:
    """Reads jobs by their ids.

    However often a job is asked for while it waits, it is read once; asked for while it is being read, it is
    read once more.

    Args:
        read: Reads one job and deals with the outcome.
        limit: Reads at the same time.
    """

    def __init__(self, read: Callable[[str], Awaitable[None]], limit: int) -> None:
        self._read = read
        self._limit = limit
        self._endings: dict[str, ReadReason] = {}
        self._others: dict[str, ReadReason] = {}
        self._active: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, ReadReason] = {}
        self.counts: Counter[ReadReason] = Counter()

    def ask(self, job_id: str, reason: ReadReason) -> None:
        """Have a job read as soon as it is its turn."""
        if job_id in self._active:
            self._again.setdefault(job_id, reason)
            return
        if reason is ReadReason.ENDING:
            self._others.pop(job_id, None)
            self._endings.setdefault(job_id, reason)
        elif job_id not in self._endings:
            self._others.setdefault(job_id, reason)
        self._fill()

    def drop(self, job_id: str) -> None:
        """Nobody wants to know of this job any more."""
        for waiting in (self._endings, self._others, self._again):
            waiting.pop(job_id, None)
        task = self._active.get(job_id)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def close(self) -> None:
        """End the reads that are under way."""
        for waiting in (self._endings, self._others, self._again):
            waiting.clear()
        tasks = [task for task in self._active.values() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fill(self) -> None:
        while len(self._active) < self._limit and (waiting := self._endings or self._others):
            job_id = next(iter(waiting))
            self.counts[waiting.pop(job_id)] += 1
            task = asyncio.ensure_future(self._run(job_id))
            self._active[job_id] = task
            # Not a `finally` in the task: one that is cancelled before its first step never gets there.
            task.add_done_callback(partial(self._on_done, job_id))

    async def _run(self, job_id: str) -> None:
        # Whoever asked before this task began to run is served by the read that begins now.
        self._again.pop(job_id, None)
        await self._read(job_id)

    def _on_done(self, job_id: str, task: asyncio.Task[None]) -> None:
        del self._active[job_id]
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            logger.error("job %s: a fault while reading it", job_id, exc_info=fault, extra={"job_id": job_id})
        reason = self._again.pop(job_id, None)
        if reason is not None:
            self.ask(job_id, reason)
        else:
            self._fill()
