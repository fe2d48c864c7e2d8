"""One pair of callbacks that follows a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client._core.callback_queue import CallbackQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client._core.owned_tasks import OwnedTasks
    from cl_client.models import JobResponse, TaskOutput
    from cl_client.options import JobCallback


class Subscription:
    """One pair of callbacks that follows a job."""

    __slots__ = ("_callbacks", "_on_complete", "_on_progress")

    def __init__(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None,
        on_complete: JobCallback[TaskOutput] | None,
        tasks: OwnedTasks,
    ) -> None:
        # No limit: progress is whole percents and never goes back, so there are about a hundred at most.
        self._callbacks: CallbackQueue[JobResponse] = CallbackQueue(f"job {job_id}", tasks, job_id=job_id)
        self._on_progress = on_progress
        self._on_complete = on_complete

    def progress(self, job: JobResponse) -> None:
        """Deliver a change."""
        if self._on_progress is not None:
            self._callbacks.deliver(self._on_progress, job)

    def complete(self, job: JobResponse) -> None:
        """Deliver the end."""
        if self._on_complete is not None:
            self._callbacks.deliver(self._on_complete, job)

    def cancel(self) -> None:
        """Deliver nothing more."""
        self._callbacks.cancel()

    def when_idle(self, call: Callable[[], object]) -> None:
        """Call once when everything is delivered, which may be now."""
        self._callbacks.when_idle(call)
