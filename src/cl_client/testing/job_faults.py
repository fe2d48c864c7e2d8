"""What happens to jobs on a local server before their task runs: they fail, stop, or take long."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cl_client.local.tasks.contract import TaskFailedError

if TYPE_CHECKING:
    from cl_client.local.tasks.job_hook import ClaimedJob, JobHook

_Order: TypeAlias = int | TaskFailedError | None
"""A percentage to report, how to fail, or None to run the task."""


class HeldJob:
    """A job that stops before its task runs, until the test lets it go on.

    Made by `FaultyServer.hold_job`. All but `reached` may be called before the job is there.
    """

    def __init__(self, at: int | None) -> None:
        self._at = at
        self._job_id: Future[str] = Future()
        self._orders: deque[_Order] = deque()
        self._has_orders = asyncio.Event()
        self._server_loop: asyncio.AbstractEventLoop | None = None

    async def reached(self) -> str:
        """Wait until a job has stopped here. Wrap it in `asyncio.timeout`.

        Returns:
            The id of the job.
        """
        return await asyncio.shield(asyncio.wrap_future(self._job_id))

    def report(self, progress: int) -> None:
        """Publish progress, and stay stopped.

        Args:
            progress: Percent, 0-100.

        Raises:
            ValueError: ``progress`` is not 0-100.
        """
        _check_percent("progress", progress)
        self._tell(progress)

    def release(self) -> None:
        """Run the task now, as if nothing had been. Idempotent."""
        self._tell(None)

    def fail(self, message: str) -> None:
        """Fail the job.

        Args:
            message: Its ``error_message``.
        """
        self._tell(TaskFailedError(message))

    async def hold(self, job: ClaimedJob) -> None:
        """Hold a job, on the event loop of the server.

        Args:
            job: The job.

        Raises:
            TaskFailedError: `fail` was called.
        """
        self._server_loop = asyncio.get_running_loop()
        if self._at is not None:
            await job.report(self._at)
        self._job_id.set_result(job.job_id)
        while True:
            self._has_orders.clear()
            while self._orders:
                order = self._orders.popleft()
                if order is None:
                    return
                if isinstance(order, TaskFailedError):
                    raise order
                await job.report(order)
            await self._has_orders.wait()

    def _tell(self, order: _Order) -> None:
        self._orders.append(order)
        if self._server_loop is not None and not self._server_loop.is_closed():
            self._server_loop.call_soon_threadsafe(self._has_orders.set)


@dataclass(slots=True)
class _Rule:
    """What to do with the job that is due when ``skip`` others have passed."""

    act: JobHook
    skip: int
    task_type: str | None


class JobFaults:
    """Decides what happens to each job; called on the event loop of the server, told by the test's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._held: list[HeldJob] = []
        self.delay = 0.0

    def fail(self, message: str, nth: int, task_type: str | None) -> None:
        """See `FaultyServer.fail_job`.

        Args:
            message: The job's ``error_message``.
            nth: Which job from now on, from 1.
            task_type: Count jobs of this task only; None for all.

        Raises:
            ValueError: ``nth`` is below 1.
        """

        async def fail(_job: ClaimedJob) -> None:
            raise TaskFailedError(message)

        self._add(fail, nth, task_type)

    def hold(self, at: int, nth: int, task_type: str | None) -> HeldJob:
        """See `FaultyServer.hold_job`.

        Args:
            at: The progress to report, 0-100 percent.
            nth: Which job from now on, from 1.
            task_type: Count jobs of this task only; None for all.

        Returns:
            The way to let it go on.

        Raises:
            ValueError: ``nth`` is below 1, or ``at`` is not 0-100.
        """
        _check_percent("at", at)
        held = HeldJob(at)
        self._add(held.hold, nth, task_type)
        with self._lock:
            self._held.append(held)
        return held

    def clear(self) -> None:
        """Forget all faults, and release the jobs that are held."""
        with self._lock:
            self._rules.clear()
            held, self._held = self._held, []
        self.delay = 0.0
        for job in held:
            job.release()

    async def before_job(self, job: ClaimedJob) -> None:
        """The server's hook.

        Args:
            job: A job that a worker has claimed.

        Raises:
            TaskFailedError: The job is to fail.
        """
        if self.delay > 0:
            await self._wait(job)
        for act in self._due(job.task_type):
            await act(job)

    async def _wait(self, job: ClaimedJob) -> None:
        """Wait for the delay, or until all faults are cleared."""
        delayed = HeldJob(at=None)
        with self._lock:
            self._held.append(delayed)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.delay):
                await delayed.hold(job)

    def _add(self, act: JobHook, nth: int, task_type: str | None) -> None:
        if nth < 1:
            raise ValueError(f"nth is {nth}; the next job is 1")
        with self._lock:
            self._rules.append(_Rule(act, nth - 1, task_type))

    def _due(self, task_type: str) -> list[JobHook]:
        with self._lock:
            counting = [rule for rule in self._rules if rule.task_type in {None, task_type}]
            due = [rule for rule in counting if rule.skip == 0]
            for rule in counting:
                rule.skip -= 1
            self._rules = [rule for rule in self._rules if rule.skip >= 0]
        return [rule.act for rule in due]


def _check_percent(name: str, value: int) -> None:
    if not 0 <= value <= 100:  # noqa: PLR2004 - percent
        raise ValueError(f"{name} is {value}; progress is 0-100 percent")
