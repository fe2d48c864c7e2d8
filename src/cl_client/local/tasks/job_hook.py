"""The hook that tests put between a worker that has claimed a job and the task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that a worker has claimed and not started yet.

    Attributes:
        job_id: Its id.
        task_type: Its task, such as ``"hash"``.
        report: Publish the job's progress, 0-100 percent.
    """

    job_id: str
    task_type: str
    report: Callable[[int], Awaitable[None]]


JobHook: TypeAlias = Callable[[ClaimedJob], Awaitable[None]]
"""Runs before each task, on the server's event loop, and so must not block it.

The task starts when the hook returns. A `TaskFailedError` from the hook fails the job with its message. The
hook is cancelled when the job is deleted and when the server stops.
"""
