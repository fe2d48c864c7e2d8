"""The reader of jobs: one HTTP request per read, a limited number at a time, ended jobs first.

Nothing is retried here. A failed read is reported like a successful one, and the tracker decides when to read
the job again, so that the pause of one job does not delay another.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, OrderedDict, deque
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakValueDictionary

from cl_client._core.log import get_logger
from cl_client._jobs.read_policy import never_arrived

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client.models import JobResponse

logger = get_logger("cl_client.jobs")

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0
"""Seconds between two attempts to reach an unreachable server, for any number of jobs."""

_LONGEST_WAY: Final = 1.0
"""Seconds; a server that does not answer must not block submits."""


class ReadReason(StrEnum):
    """Reasons to read a job, the most urgent first."""

    ENDING = "ending"
    """An event reported its end: the one read that every job needs."""
    DELETED = "deleted"
    """This client has deleted it, or has tried to."""
    FIRST = "first"
    """It was not followed since its submit, so events may have been missed."""
    WORKER_IDLE = "worker_idle"
    """A worker that may have run it became idle."""
    RECONCILE = "reconcile"
    """Push was reconnected, or messages were dropped."""
    SAFETY_NET = "safety_net"
    """No event arrived for some time."""


_URGENCY: Final = {reason: place for place, reason in enumerate(ReadReason)}
_CERTAIN_NEWS: Final = {ReadReason.ENDING, ReadReason.DELETED}


class ReadListener(Protocol):
    """Receives the results of requested reads."""

    def on_read(self, job_id: str, job: JobResponse) -> None:
        """Handle a successful read.

        Args:
            job_id: The job.
            job: The job as it was read.
        """

    def on_read_failed(self, job_id: str, error: Exception) -> None:
        """Handle a failed read. The reader does not retry it.

        Args:
            job_id: The job.
            error: The error of the read.
        """


class _Reading:
    """Marks a running read; held by the reading call."""

    __slots__ = ("__weakref__",)


class JobReader:
    """Reads jobs by their ids, and caches ended jobs.

    A job that is requested several times while it is queued is read once; if it is requested during its read,
    it is read again.

    Args:
        fetch: Sends one request for one job.
        limit: Maximum number of requested reads at the same time.
        cache_size: Maximum number of cached jobs; the least recently used one is removed first.
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[JobResponse]], *, limit: int, cache_size: int
    ) -> None:
        self.counts: Counter[ReadReason] = Counter()
        self._fetch = fetch
        self._limit = limit
        self._cache_size = cache_size
        self._listener: ReadListener | None = None
        self._endings: dict[str, ReadReason] = {}
        self._others: dict[str, ReadReason] = {}
        self._again: dict[str, ReadReason] = {}
        self._active: dict[str, asyncio.Task[None]] = {}
        self._ended: OrderedDict[str, JobResponse] = OrderedDict()
        self._readings: WeakValueDictionary[str, _Reading] = WeakValueDictionary()
        self._attempts_without_server = 0
        self._pause: asyncio.TimerHandle | None = None
        self._giving_way: deque[asyncio.Future[None]] = deque()
        self._next_goes: asyncio.Handle | None = None

    def tell(self, listener: ReadListener) -> None:
        """Set the listener for requested reads.

        Args:
            listener: Receives the results.
        """
        self._listener = listener

    async def read(
        self, job_id: str, fetch: Callable[[str], Awaitable[JobResponse]] | None = None
    ) -> JobResponse:
        """Read a job now, outside the queue.

        Args:
            job_id: The job.
            fetch: Sends the request, instead of the reader's own.

        Returns:
            The job.

        Raises:
            ComputeClientError: The read failed; it is not retried.
        """
        reading = self._readings.setdefault(job_id, _Reading())
        job = await (fetch or self._fetch)(job_id)
        # A job that was forgotten during this read was deleted, even if the read still found it.
        if job.status.is_terminal and self._readings.get(job_id) is reading:
            self._ended[job_id] = job
            self._ended.move_to_end(job_id)
            while len(self._ended) > self._cache_size:
                self._ended.popitem(last=False)
        return job

    def known_end(self, job_id: str) -> JobResponse | None:
        """Get an ended job from the cache.

        Args:
            job_id: The job.

        Returns:
            The job; None if it is not cached.
        """
        job = self._ended.get(job_id)
        if job is not None:
            self._ended.move_to_end(job_id)
        return job

    def forget(self, job_id: str) -> None:
        """Remove a deleted job from the cache. The result of a running read is not cached.

        Args:
            job_id: The job.
        """
        self._ended.pop(job_id, None)
        self._readings.pop(job_id, None)

    async def give_way(self) -> None:
        """Wait, for at most a second, until no ended job is queued for its read.

        A caller that submits many jobs at once keeps the loop so busy that jobs end faster than they are
        read. Waiting callers continue one by one, each in its own iteration of the loop.
        """
        if not self._endings and not self._giving_way:
            return
        turn = asyncio.get_running_loop().create_future()
        self._giving_way.append(turn)
        try:
            await asyncio.wait([turn], timeout=_LONGEST_WAY)
        finally:
            if not turn.done():
                self._giving_way.remove(turn)

    def ask(self, job_id: str, reason: ReadReason) -> None:
        """Request a read of a job, queued by urgency.

        Args:
            job_id: The job.
            reason: The reason, which sets the urgency.
        """
        if job_id in self._active:
            self._again[job_id] = min(reason, self._again.get(job_id, reason), key=_URGENCY.__getitem__)
            return
        if reason is ReadReason.ENDING:
            self._others.pop(job_id, None)
            self._endings.setdefault(job_id, reason)
        elif job_id not in self._endings:
            self._others.setdefault(job_id, reason)
        self._fill()

    def put_off(self, job_id: str) -> None:
        """Cancel a second read after the running one, unless the job is known to have changed.

        Args:
            job_id: The job.
        """
        if self._again.get(job_id) not in _CERTAIN_NEWS:
            self._again.pop(job_id, None)

    def drop(self, job_id: str) -> None:
        """Cancel the reads of a job that is no longer followed.

        Args:
            job_id: The job.
        """
        for waiting in (self._endings, self._others, self._again):
            waiting.pop(job_id, None)
        task = self._active.get(job_id)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._let_go()

    async def close(self) -> None:
        """Cancel all reads."""
        for waiting in (self._endings, self._others, self._again):
            waiting.clear()
        if self._pause is not None:
            self._pause.cancel()
        while self._giving_way:  # their next call finds the client closed
            self._giving_way.popleft().set_result(None)
        tasks = [task for task in self._active.values() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fill(self) -> None:
        # An unreachable server is asked for one job only: other reads would fail too.
        limit = 1 if self._attempts_without_server else self._limit
        while (
            self._pause is None and len(self._active) < limit and (waiting := self._endings or self._others)
        ):
            job_id = next(iter(waiting))
            self.counts[waiting.pop(job_id)] += 1
            task = asyncio.ensure_future(self._run(job_id))
            self._active[job_id] = task
            # Not a `finally` in the task: a task that is cancelled before its first step never reaches it.
            task.add_done_callback(partial(self._on_done, job_id))
        self._let_go()

    def _let_go(self) -> None:
        """Let waiting callers of `give_way` continue, one by one, if no ended job is queued."""
        if self._giving_way and not self._endings and self._next_goes is None:
            self._next_goes = asyncio.get_running_loop().call_soon(self._let_one_go)

    def _let_one_go(self) -> None:
        self._next_goes = None
        if self._giving_way and not self._endings:
            self._giving_way.popleft().set_result(None)
            self._let_go()

    async def _run(self, job_id: str) -> None:
        # Requests made before this task started are served by the read that starts now.
        self._again.pop(job_id, None)
        try:
            job = await self.read(job_id)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Raised by an auth provider: this task continues, and must report a failure.
            self._on_failure(job_id, RuntimeError(f"The auth provider cancelled the read of job {job_id}"))
            return
        except Exception as exc:  # noqa: BLE001 - an auth provider of the application may raise anything
            self._on_failure(job_id, exc)
            return
        self._attempts_without_server = 0
        if self._listener is not None:
            self._listener.on_read(job_id, job)

    def _on_failure(self, job_id: str, error: Exception) -> None:
        self._wait_for_the_server(error)
        if self._listener is not None:
            self._listener.on_read_failed(job_id, error)

    def _wait_for_the_server(self, error: Exception) -> None:
        if not never_arrived(error):
            self._attempts_without_server = 0
            return
        self._attempts_without_server += 1
        if self._pause is None:
            longest = min(_FIRST_PAUSE * 2.0 ** min(self._attempts_without_server, 16), _LONGEST_PAUSE)
            pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - not for cryptography
            self._pause = asyncio.get_running_loop().call_later(pause, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._fill()

    def _on_done(self, job_id: str, task: asyncio.Task[None]) -> None:
        del self._active[job_id]
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            logger.error(
                "job %s: unexpected error while reading it", job_id, exc_info=fault, extra={"job_id": job_id}
            )
        reason = self._again.pop(job_id, None)
        if reason is not None:
            self.ask(job_id, reason)
        else:
            self._fill()
