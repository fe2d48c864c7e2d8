"""The tracker of jobs: combines MQTT events and HTTP reads into one sequence of states that never goes back.

Events are hints, and HTTP is authoritative: an event carries no output, and a failure may have no event. So
the end of a job is always read over HTTP, and a job without news is read at growing intervals.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from cl_client._core.owned_tasks import OwnedTasks
from cl_client._errors import ClientClosedError
from cl_client._http_errors import JobNotFoundError, ServerBusyError
from cl_client._jobs.early_events import EarlyEvents
from cl_client._jobs.followed_job import FollowedJob
from cl_client._jobs.push_health import PushHealth
from cl_client._jobs.read_policy import ReadErrorLog
from cl_client._jobs.reader import ReadListener, ReadReason
from cl_client._jobs.safety_net import SafetyNet
from cl_client._jobs.subscriptions import Subscription
from cl_client.models import JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from cl_client._jobs.followed_job import Listener
    from cl_client._jobs.reader import JobReader
    from cl_client.config import ComputeClientConfig
    from cl_client.models import JobEvent, JobResponse, TaskOutput
    from cl_client.options import ErrorCallback, JobCallback


class JobTracker(ReadListener):
    """Follows any number of jobs on the running event loop, and decides when each of them is read.

    Args:
        reader: Reads jobs over HTTP.
        config: Intervals.

    Attributes:
        push: Whether MQTT events arrive.
    """

    def __init__(self, reader: JobReader, config: ComputeClientConfig) -> None:
        self._reader = reader
        self._config = config
        self.push = PushHealth(config, self._on_push_silent)
        self._jobs: dict[str, FollowedJob] = {}
        self._safety_net = SafetyNet(config, self.push, self._jobs, self._ask)
        self._running: dict[str, FollowedJob] = {}
        self._subscriptions: dict[str, Subscription] = {}
        """Includes those of ended jobs until all callbacks have been called."""
        self._loop = asyncio.get_running_loop()
        self._early = EarlyEvents()
        self._errors = ReadErrorLog()
        self._tasks = OwnedTasks()
        self._closed = False
        reader.tell(self)

    @property
    def followed(self) -> int:
        """The number of followed jobs."""
        return len(self._jobs)

    async def close(self) -> None:
        """End every task and timer. Callbacks are not called again; waits end in `ClientClosedError`."""
        self._closed = True
        for followed in list(self._jobs.values()):
            for listener in tuple(followed.listeners):
                listener.cancel()
            self._forget(followed)
        for subscription in self._subscriptions.values():
            subscription.cancel()
        self._subscriptions.clear()
        await self._reader.close()
        await self._tasks.cancel()

    def subscribe(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None,
        on_complete: JobCallback[TaskOutput] | None,
        on_error: ErrorCallback | None = None,
        *,
        submitted: JobResponse | None = None,
        fresh: bool = False,
    ) -> str:
        """Subscribe callbacks to a job.

        Args:
            job_id: The job.
            on_progress: Called for each change of status or progress.
            on_complete: Called once with the ended job.
            on_error: Called instead if the server keeps refusing to report the job.
            submitted: See `follow`.
            fresh: See `follow`.

        Returns:
            The id of the subscription.
        """
        subscription_id = secrets.token_hex(8)
        subscription = Subscription(
            job_id,
            (on_progress, on_complete, on_error),
            self._tasks,
            partial(self._subscriptions.pop, subscription_id, None),
        )
        self.follow(job_id, subscription, submitted=submitted, fresh=fresh)
        self._subscriptions[subscription_id] = subscription
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription; other listeners of the job stay. Idempotent.

        Args:
            subscription_id: The id that `subscribe` returned.
        """
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is not None:
            self.unfollow(subscription)
            subscription.cancel()

    def follow(
        self,
        job_id: str,
        listener: Listener,
        *,
        submitted: JobResponse | None = None,
        fresh: bool = False,
    ) -> None:
        """Add a listener to a job.

        Args:
            job_id: The job.
            listener: Is called with the states of the job.
            submitted: The answer to the submit call, if this process submitted the job.
            fresh: Whether push was live before the submit, so that no event can have been missed and the
                first read can wait for the safety net.

        Raises:
            InvalidParameterError: ``job_id`` is not a valid id of a job.
            ClientClosedError: The client is closed.
        """
        if self._closed:
            raise ClientClosedError(job_id)
        followed = self._jobs.get(job_id)
        if followed is None:
            self._config.job_path(job_id)  # raises for an invalid id
            followed = FollowedJob(job_id, submitted.task_type if submitted else "")
            followed.interval = self._config.poll_min
            if fresh and submitted is not None and not submitted.status.is_terminal:
                followed.eventless_since = self._loop.time()
            self._jobs[job_id] = followed
        followed.listeners.append(listener)
        if listener.max_interval is not None:
            followed.note_patience()
        listener.followed = followed
        listener.uninformed = followed.job is not None
        self._loop.call_soon(self._begin, listener, submitted, fresh, self._early.take(job_id))

    def unfollow(self, listener: Listener) -> None:
        """Remove a listener; other listeners of the job stay. Idempotent.

        Args:
            listener: The listener.
        """
        followed, listener.followed = listener.followed, None
        if followed is not None:
            followed.listeners.remove(listener)
            if not followed.listeners:
                self._forget(followed)
            elif listener.max_interval is not None:
                followed.note_patience()

    def _begin(
        self,
        listener: Listener,
        submitted: JobResponse | None,
        fresh: bool,  # noqa: FBT001 - call_soon passes no keywords
        early: Sequence[JobEvent],
    ) -> None:
        """Give a new listener its first state; not inside `follow`, whose caller does not have the id yet."""
        followed = listener.followed
        if followed is None:  # it was removed, or the job has ended
            return
        if submitted is not None and submitted.status.is_terminal:
            self._on_end(followed)  # the answer to a submit is not the full job
        elif submitted is not None:
            self._merge(followed, submitted)
        for event in early:
            self.on_event(event)
        if listener.uninformed and followed.job is not None:
            listener.uninformed = False
            listener.progress(followed.job)
        if fresh and followed.job is not None:
            self._restart_timer(followed)
        elif not followed.ending:
            self._ask_unless_paused(followed, ReadReason.FIRST)

    def last_known(self, job_id: str) -> JobResponse | None:
        """Get the last known state of a job.

        Args:
            job_id: The job.

        Returns:
            The job; None if it is not followed or nothing is known yet.
        """
        followed = self._jobs.get(job_id)
        return followed.job if followed else None

    def submitting(self) -> AbstractContextManager[None]:
        """Keep events of unknown jobs during a submit; see `EarlyEvents.submitting`.

        Returns:
            A context manager for the time of the submit.
        """
        return self._early.submitting()

    def on_event(self, event: JobEvent) -> None:
        """Handle an MQTT event, with one look-up for any number of followed jobs.

        Args:
            event: The event.
        """
        followed = self._jobs.get(event.job_id)
        if followed is None:
            self._early.keep(event)
            return
        followed.eventless_since = None
        status = JobStatus.from_wire(event.event_type)
        if status.is_terminal:
            self._on_end(followed)
            return
        if followed.job is None:
            # No state is known yet; the first read has been requested.
            return
        if self._advances(followed, status, event.progress):
            update = {"status": status, "raw_status": event.event_type, "progress": followed.percent}
            followed.heard_at = self._loop.time()
            if status is not followed.job.status:
                # The pauses of a running job are shorter, see `_due`.
                self._restart_timer(followed)
            self._tell(followed, followed.job.model_copy(update=update))

    def _on_end(self, followed: FollowedJob) -> None:
        """Request the full job, because its end was reported."""
        if not followed.ending:
            followed.ending = True
            followed.interval = self._config.poll_min
            self._ask(followed, ReadReason.ENDING)

    def on_worker_idle(self, capabilities: Collection[str], busy_since: float) -> None:
        """Read the jobs that a worker may have ended without an event, now that it is idle.

        Args:
            capabilities: The task types of the worker.
            busy_since: Loop time since which it was busy.
        """
        for followed in list(self._running.values()):
            in_time = followed.running_since >= busy_since
            if in_time and (not followed.task_type or followed.task_type in capabilities):
                followed.interval = self._config.poll_min
                self._ask_unless_paused(followed, ReadReason.WORKER_IDLE)

    def reconcile(self) -> None:
        """Read every followed job after a reconnect or after dropped messages."""
        for followed in list(self._jobs.values()):
            followed.eventless_since = None  # its events may have been lost
            self._ask_unless_paused(followed, ReadReason.RECONCILE)

    def on_deleted(self, job_id: str) -> None:
        """Read a job that this client has deleted or tried to delete.

        Args:
            job_id: The job.
        """
        followed = self._jobs.get(job_id)
        if followed is not None:
            self._ask(followed, ReadReason.DELETED)

    def on_push_live(self) -> None:
        """Note that push is connected; earlier events may have been missed."""
        self.push.connected = True
        self.reconcile()

    def on_push_lost(self) -> None:
        """Note that push has ended, and return to shorter intervals."""
        self.push.connected = False
        self._on_push_silent()

    def _on_push_silent(self) -> None:
        for followed in list(self._jobs.values()):
            followed.eventless_since = None
            followed.interval = self._config.poll_min
            self._restart_timer(followed)

    @override
    def on_read(self, job_id: str, job: JobResponse) -> None:
        followed = self._jobs.get(job_id)
        if followed is None:
            return
        if followed.failures:
            followed.failures = followed.refusals = followed.bad_answers = 0
            self._errors.forget(job_id, was_read=True)
        followed.ending, followed.not_before = False, 0.0
        self._merge(followed, job)
        self._restart_timer(followed)

    @override
    def on_read_failed(self, job_id: str, error: Exception) -> None:
        followed = self._jobs.get(job_id)
        if followed is None:
            return
        followed.note_failure(error)
        for listener in tuple(followed.listeners):
            # Skip a listener that an earlier callback has removed.
            if listener.followed is followed and followed.is_hopeless_for(listener):
                self.unfollow(listener)
                listener.failed(error)
        if isinstance(error, JobNotFoundError):
            self._complete(followed, followed.deleted(error))
        elif self._is_followed(followed):
            self._errors.note(job_id, error)
            if isinstance(error, ServerBusyError) and error.retry_after is not None:
                followed.not_before = self._loop.time() + error.retry_after
                self._reader.put_off(job_id)
            self._restart_timer(followed)

    def _advances(self, followed: FollowedJob, status: JobStatus, percent: int) -> bool:
        """Record a state, and return whether it is new."""
        ran_before = followed.runs
        if not followed.advance(status, percent):
            return False
        if followed.runs and not ran_before:
            followed.running_since = self._loop.time()
            self._running[followed.job_id] = followed
        return True

    def _merge(self, followed: FollowedJob, job: JobResponse) -> None:
        """Merge a job from an HTTP read into the known state."""
        if not job.task_type:
            job = job.model_copy(update={"task_type": followed.task_type})
        followed.task_type = job.task_type
        if job.status.is_terminal:
            self._complete(followed, job)
            return
        if job.status is JobStatus.UNKNOWN:
            self._errors.warn_unknown_status(job)
        advances = self._advances(followed, job.status, job.progress)
        job = followed.not_behind(job)
        followed.job = job
        if advances:
            self._tell(followed, job)

    def _tell(self, followed: FollowedJob, job: JobResponse) -> None:
        followed.job = job
        for listener in tuple(followed.listeners):
            if listener.followed is followed:  # skip one that an earlier callback has removed
                listener.uninformed = False
                listener.progress(job)

    def _complete(self, followed: FollowedJob, job: JobResponse) -> None:
        if followed.eventless_since is not None and job.status is not JobStatus.DELETED:
            self.push.ended_without_event(self._loop.time() - followed.eventless_since)
        listeners = tuple(followed.listeners)
        self._forget(followed)
        for listener in listeners:
            listener.complete(job)

    def _forget(self, followed: FollowedJob) -> None:
        if self._jobs.get(followed.job_id) is followed:
            del self._jobs[followed.job_id]
            self._running.pop(followed.job_id, None)
            self._reader.drop(followed.job_id)
            if followed.failures:
                self._errors.forget(followed.job_id)
        followed.release()

    def _is_followed(self, followed: FollowedJob) -> bool:
        return not self._closed and self._jobs.get(followed.job_id) is followed

    def _ask(self, followed: FollowedJob, reason: ReadReason) -> None:
        if self._is_followed(followed):
            self._reader.ask(followed.job_id, reason)

    def _ask_unless_paused(self, followed: FollowedJob, reason: ReadReason) -> None:
        """Request a read, unless the server asked for a pause; the job is read at the end of the pause."""
        if self._loop.time() >= followed.not_before:
            self._ask(followed, reason)

    def _restart_timer(self, followed: FollowedJob) -> None:
        if self._is_followed(followed):
            self._safety_net.restart(followed)
