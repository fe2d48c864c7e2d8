"""Subscriptions: the callbacks that follow a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from cl_client._core.callback_queue import CallbackQueue
from cl_client._core.log import get_logger
from cl_client._jobs.followed_job import FollowedJob, Listener
from cl_client._jobs.read_policy import MAX_BAD_READS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from cl_client._core.owned_tasks import OwnedTasks
    from cl_client.models import JobResponse, TaskOutput
    from cl_client.options import ErrorCallback, JobCallback

    Callbacks: TypeAlias = tuple[
        JobCallback[TaskOutput] | None, JobCallback[TaskOutput] | None, ErrorCallback | None
    ]

logger = get_logger("cl_client.jobs")


class Subscription(CallbackQueue, Listener):
    """The callbacks of one subscription, until the job ends or the server keeps refusing to report it.

    This class is the queue itself and does not contain one: there may be a hundred thousand subscriptions,
    and every further object per event costs memory access time.

    Args:
        job_id: The job.
        callbacks: Called for progress, for the end, and for an error that ends the subscription.
        tasks: Owns the tasks that await callbacks.
        on_idle: Called when everything has been delivered after the end.
    """

    __slots__ = ("_callbacks", "_on_end", "followed", "uninformed")

    # Callbacks last for the whole job: a new token may arrive, or a server behind its proxy may restart.
    max_refusals: ClassVar[float] = MAX_BAD_READS
    max_bad_answers: ClassVar[float] = float("inf")

    def __init__(
        self, job_id: str, callbacks: Callbacks, tasks: OwnedTasks, on_idle: Callable[[], object]
    ) -> None:
        # No limit: progress is in whole percent and never decreases, so there are about a hundred at most.
        super().__init__("", tasks, job_id=job_id)
        self.followed: FollowedJob | None = None
        self.uninformed = False
        self._callbacks = callbacks
        self._on_end = on_idle

    @override
    def progress(self, job: JobResponse) -> None:
        if (on_progress := self._callbacks[0]) is not None:
            self.deliver(on_progress, job)

    @override
    def complete(self, job: JobResponse) -> None:
        if (on_complete := self._callbacks[1]) is not None:
            self.deliver(on_complete, job)
        self.when_idle(self._on_end)

    @override
    def failed(self, error: Exception) -> None:
        if (on_error := self._callbacks[2]) is not None:
            self.deliver(on_error, error)
        else:
            message = "job %s is no longer followed: %s"
            logger.error(message, self._job_id, error, extra={"job_id": self._job_id})
        self.when_idle(self._on_end)
