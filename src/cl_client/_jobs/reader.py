"""The one reader of jobs: one HTTP request a read, a bounded number at once, endings first.

Nothing is repeated here. A read that failed is told like one that succeeded, and the tracker decides when the
job is read again, so that no job's pause holds up another.
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
"""Seconds between two attempts to reach a server that is away, whatever the number of jobs."""

_LONGEST_WAY: Final = 1.0
"""Seconds; a server that does not answer at all must not keep anybody from submitting."""


class ReadReason(StrEnum):
    """Why a job is read, the most urgent first."""

    ENDING = "ending"
    """An event said that it has ended: the one read that every job needs."""
    DELETED = "deleted"
    """This client has asked for it to be deleted."""
    FIRST = "first"
    """It was not followed from its submit on, so that events may have been missed."""
    WORKER_IDLE = "worker_idle"
    """A worker that may have run it turned idle."""
    RECONCILE = "reconcile"
    """Push came back, or messages were dropped."""
    SAFETY_NET = "safety_net"
    """There was no news for a while."""


_URGENCY: Final = {reason: place for place, reason in enumerate(ReadReason)}
_CERTAIN_NEWS: Final = {ReadReason.ENDING, ReadReason.DELETED}


class ReadListener(Protocol):
    """Whoever is told what became of the reads that were asked for."""

    def on_read(self, job_id: str, job: JobResponse) -> None:
        """A job was read."""

    def on_read_failed(self, job_id: str, error: Exception) -> None:
        """A read failed; the job is read again when it is asked for again."""


class _Reading:
    """A read that is under way; held by whoever reads."""

    __slots__ = ("__weakref__",)


class JobReader:
    """Reads jobs by their ids, and keeps those that have ended.

    However often a job is asked for while it waits for its turn, it is read once; asked for while it is being
    read, it is read once more.

    Args:
        fetch: One request for one job.
        limit: Reads at the same time, of those that are asked for.
        cache_size: How many ended jobs are kept; the one that was not wanted for longest goes first.
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
        """Name the one who is told of the reads that are asked for."""
        self._listener = listener

    async def read(
        self, job_id: str, fetch: Callable[[str], Awaitable[JobResponse]] | None = None
    ) -> JobResponse:
        """Read a job now, outside of the queue.

        Args:
            job_id: The job.
            fetch: In place of this reader's own.

        Raises:
            ComputeClientError: It could not be read; it is not tried again.
        """
        reading = self._readings.setdefault(job_id, _Reading())
        job = await (fetch or self._fetch)(job_id)
        # One that was forgotten meanwhile was deleted, though this read may still have found it.
        if job.status.is_terminal and self._readings.get(job_id) is reading:
            self._ended[job_id] = job
            self._ended.move_to_end(job_id)
            while len(self._ended) > self._cache_size:
                self._ended.popitem(last=False)
        return job

    def known_end(self, job_id: str) -> JobResponse | None:
        """A job of which a read has found that it has ended, and which no longer changes."""
        job = self._ended.get(job_id)
        if job is not None:
            self._ended.move_to_end(job_id)
        return job

    def forget(self, job_id: str) -> None:
        """The job was deleted; a read that is under way may still find it."""
        self._ended.pop(job_id, None)
        self._readings.pop(job_id, None)

    async def give_way(self) -> None:
        """Wait, for a second at most, until no end waits to be read.

        Whoever submits many jobs at once keeps the loop so busy that ends would come faster than they are
        read. One after the other goes on, each in a turn of the loop of its own.
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
        """Have a job read as soon as it is its turn."""
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
        """Read a job no second time after the read that is under way, unless it is known to have changed."""
        if self._again.get(job_id) not in _CERTAIN_NEWS:
            self._again.pop(job_id, None)

    def drop(self, job_id: str) -> None:
        """Nobody follows this job any more."""
        for waiting in (self._endings, self._others, self._again):
            waiting.pop(job_id, None)
        task = self._active.get(job_id)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._let_go()

    async def close(self) -> None:
        """End the reads that are under way."""
        for waiting in (self._endings, self._others, self._again):
            waiting.clear()
        if self._pause is not None:
            self._pause.cancel()
        while self._giving_way:  # they meet a closed client
            self._giving_way.popleft().set_result(None)
        tasks = [task for task in self._active.values() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fill(self) -> None:
        # A server that is away is asked for one job alone: the others would not fare better.
        limit = 1 if self._attempts_without_server else self._limit
        while (
            self._pause is None and len(self._active) < limit and (waiting := self._endings or self._others)
        ):
            job_id = next(iter(waiting))
            self.counts[waiting.pop(job_id)] += 1
            task = asyncio.ensure_future(self._run(job_id))
            self._active[job_id] = task
            # Not a `finally` in the task: one that is cancelled before its first step never gets there.
            task.add_done_callback(partial(self._on_done, job_id))
        self._let_go()

    def _let_go(self) -> None:
        """Let those who give way go on, one by one, if no end waits."""
        if self._giving_way and not self._endings and self._next_goes is None:
            self._next_goes = asyncio.get_running_loop().call_soon(self._let_one_go)

    def _let_one_go(self) -> None:
        self._next_goes = None
        if self._giving_way and not self._endings:
            self._giving_way.popleft().set_result(None)
            self._let_go()

    async def _run(self, job_id: str) -> None:
        # Whoever asked before this task began to run is served by the read that begins now.
        self._again.pop(job_id, None)
        try:
            job = await self.read(job_id)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Raised by an auth provider: this task goes on, and so must the job's story.
            self._on_failure(job_id, RuntimeError(f"The read of job {job_id} was cancelled from within"))
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
            pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            self._pause = asyncio.get_running_loop().call_later(pause, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._fill()

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
