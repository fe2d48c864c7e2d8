"""One pair of callbacks that follows a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client._core.callback_queue import CallbackQueue
from cl_client.models import JobResponse

if TYPE_CHECKING:
    from cl_client._core.owned_tasks import OwnedTasks
    from cl_client.models import TaskOutput
    from cl_client.options import JobCallback


class Subscription(CallbackQueue[JobResponse]):
    """One pair of callbacks that follows a job.

    It is the queue itself, and not an object that has one: there may be a hundred thousand of them, and each
    object more that an event has to touch is a wait for memory.
    """

    __slots__ = ("_on_complete", "_on_progress")

    def __init__(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None,
        on_complete: JobCallback[TaskOutput] | None,
        tasks: OwnedTasks,
    ) -> None:
        # No limit: progress is whole percents and never goes back, so there are about a hundred at most.
        super().__init__("", tasks, job_id=job_id)
        self._on_progress = on_progress
        self._on_complete = on_complete

    def progress(self, job: JobResponse) -> None:
        """Deliver a change."""
        if self._on_progress is not None:
            self.deliver(self._on_progress, job)

    def complete(self, job: JobResponse) -> None:
        """Deliver the end."""
        if self._on_complete is not None:
            self.deliver(self._on_complete, job)
