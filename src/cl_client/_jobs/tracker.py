"""What is known of each followed job: MQTT events and HTTP reads, joined into one story that goes forward.

Events are hints and HTTP is the truth: an event carries no output, and a failure may have no event at all. So
the end of a job is always read over HTTP, and a job without news is read on a growing interval.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger
from cl_client._core.owned_tasks import OwnedTasks
from cl_client._errors import ClientClosedError, JobNotFoundError, ServerBusyError
from cl_client._jobs.early_events import EarlyEvents
from cl_client._jobs.followed_job import FollowedJob
from cl_client._jobs.push_health import PushHealth
from cl_client._jobs.read_policy import ReadErrorLog
from cl_client._jobs.reader import ReadReason
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

logger = get_logger("cl_client.jobs")

_GROWTH = 1.6
_QUEUED_READS = 20
"""A second, of all jobs together that do not run yet, while push tells of them."""


class JobTracker:
    """Follows any number of jobs for one event loop, and alone decides when which of them is read.

    Args:
        reader: Reads jobs over HTTP.
        config: Intervals.

    Attributes:
        push: Whether MQTT events arrive at present.

    Needs a running loop, and belongs to it.
    """

    def __init__(self, reader: JobReader, config: ComputeClientConfig) -> None:
        self._reader = reader
        self._config = config
        self.push = PushHealth(config, self._on_push_silent)
        self._jobs: dict[str, FollowedJob] = {}
        self._running: dict[str, FollowedJob] = {}
        self._subscriptions: dict[str, Subscription] = {}
        """Also those whose job has ended, as long as they have not heard all of it."""
        self._loop = asyncio.get_running_loop()
        self._early = EarlyEvents()
        self._errors = ReadErrorLog()
        self._tasks = OwnedTasks()
        self._closed = False
        reader.tell(self)

    @property
    def followed(self) -> int:
        """How many jobs are followed."""
        return len(self._jobs)

    async def close(self) -> None:
        """End every task and timer. Callbacks hear nothing more; whoever waits hears that it is over."""
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
        """Add callbacks, and return the id of that subscription; see `follow`."""
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
        """End a subscription, which hears nothing more; the job's other listeners stay. Idempotent."""
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
            listener: Who is told.
            submitted: The answer of the submit call, where this process submitted the job.
            fresh: Push was live before the job was submitted, so that no event can have been missed and the
                first read can wait for the safety net.

        Raises:
            InvalidParameterError: That is not the id of a job.
        """
        if self._closed:
            raise ClientClosedError(job_id)
        followed = self._jobs.get(job_id)
        if followed is None:
            self._config.job_path(job_id)  # which refuses what is no id
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
        """Remove a listener; the job's other listeners stay. Idempotent."""
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
        """First news for a new listener: never inside `follow`, whose caller does not have the id yet."""
        followed = listener.followed
        if followed is None:  # it has left, or the job has ended meanwhile
            return
        if submitted is not None and submitted.status.is_terminal:
            self._on_end(followed)  # the answer of a submit is no full job
        elif submitted is not None:
            self._merge(followed, submitted)
        for event in early:
            self.on_event(event)
        if listener.uninformed and followed.job is not None:
            listener.uninformed = False
            listener.progress(followed.job)
        if fresh and followed.job is not None:
            self._arm(followed)
        elif not followed.ending:
            self._ask_unless_paused(followed, ReadReason.FIRST)

    def last_known(self, job_id: str) -> JobResponse | None:
        """The last state of a followed job."""
        followed = self._jobs.get(job_id)
        return followed.job if followed else None

    def submitting(self) -> AbstractContextManager[None]:
        """While a job is submitted: it may have events before anybody can follow it."""
        return self._early.submitting()

    def on_event(self, event: JobEvent) -> None:
        """Take an MQTT event: one look-up, whatever the number of followed jobs."""
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
            # Nothing is known that could be told; the first read is on its way and brings it up to date.
            return
        if self._advances(followed, status, event.progress):
            update = {"status": status, "raw_status": event.event_type, "progress": followed.percent}
            followed.heard_at = self._loop.time()
            if status is not followed.job.status:
                # The pauses of a running job are shorter, see `_due`.
                self._arm(followed)
            self._tell(followed, followed.job.model_copy(update=update))

    def _on_end(self, followed: FollowedJob) -> None:
        """It is said to have ended: the full job is to be read."""
        if not followed.ending:
            followed.ending = True
            followed.interval = self._config.poll_min
            self._ask(followed, ReadReason.ENDING)

    def on_worker_idle(self, capabilities: Collection[str], busy_since: float) -> None:
        """A worker became idle: whatever began while it was busy may have ended without an event."""
        for followed in list(self._running.values()):
            in_time = followed.running_since >= busy_since
            if in_time and (not followed.task_type or followed.task_type in capabilities):
                followed.interval = self._config.poll_min
                self._ask_unless_paused(followed, ReadReason.WORKER_IDLE)

    def reconcile(self) -> None:
        """Read every followed job: after a reconnect, or after messages were dropped."""
        for followed in list(self._jobs.values()):
            followed.eventless_since = None  # its events may have been lost
            self._ask_unless_paused(followed, ReadReason.RECONCILE)

    def on_deleted(self, job_id: str) -> None:
        """This client has deleted a job, or has tried to: whoever follows it is told soon."""
        followed = self._jobs.get(job_id)
        if followed is not None:
            self._ask(followed, ReadReason.DELETED)

    def on_push_live(self) -> None:
        """Events arrive from now on; earlier ones may have been missed."""
        self.push.connected = True
        self.reconcile()

    def on_push_lost(self) -> None:
        """Push ended: the longer intervals no longer hold."""
        self.push.connected = False
        self._on_push_silent()

    def _on_push_silent(self) -> None:
        for followed in list(self._jobs.values()):
            followed.eventless_since = None
            followed.interval = self._config.poll_min
            self._arm(followed)

    def on_read(self, job_id: str, job: JobResponse) -> None:
        """A job was read."""
        followed = self._jobs.get(job_id)
        if followed is None:
            return
        if followed.failures:
            followed.failures = followed.refusals = followed.bad_answers = 0
            self._errors.forget(job_id, was_read=True)
        followed.ending, followed.not_before = False, 0.0
        self._merge(followed, job)
        self._arm(followed)

    def on_read_failed(self, job_id: str, error: Exception) -> None:
        """A read failed: whoever does not want to go on is told, and the next read is put off."""
        followed = self._jobs.get(job_id)
        if followed is None:
            return
        followed.note_failure(error)
        for listener in tuple(followed.listeners):
            # Not one that a callback before has ended.
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
            self._arm(followed)

    def _advances(self, followed: FollowedJob, status: JobStatus, percent: int) -> bool:
        """Whether this is news; takes it in if so."""
        ran_before = followed.runs
        if not followed.advance(status, percent):
            return False
        if followed.runs and not ran_before:
            followed.running_since = self._loop.time()
            self._running[followed.job_id] = followed
        return True

    def _merge(self, followed: FollowedJob, job: JobResponse) -> None:
        """Take in a job as HTTP told it."""
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
            if listener.followed is followed:  # not one that a callback before has ended
                listener.uninformed = False
                listener.progress(job)

    def _complete(self, followed: FollowedJob, job: JobResponse) -> None:
        followed.job = job
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
        for listener in followed.listeners:
            listener.followed = None
        followed.listeners.clear()
        if followed.timer is not None:
            followed.timer.cancel()

    def _is_followed(self, followed: FollowedJob) -> bool:
        return not self._closed and self._jobs.get(followed.job_id) is followed

    def _ask(self, followed: FollowedJob, reason: ReadReason) -> None:
        if self._is_followed(followed):
            self._reader.ask(followed.job_id, reason)

    def _ask_unless_paused(self, followed: FollowedJob, reason: ReadReason) -> None:
        """Have a job read, but not while the server has asked for a pause, at whose end it is read anyway."""
        if self._loop.time() >= followed.not_before:
            self._ask(followed, reason)

    def _arm(self, followed: FollowedJob) -> None:
        """Start the safety net's pause anew."""
        if not self._is_followed(followed):
            return
        followed.heard_at = self._loop.time()
        if followed.timer is not None:
            followed.timer.cancel()
        followed.timer = self._loop.call_at(self._due(followed), self._on_timer, followed)

    def _due(self, followed: FollowedJob) -> float:
        longest = self._longest_pause(followed)
        pause = min(followed.interval, longest)
        if self.push.is_live and not followed.runs and not followed.failures:
            # Only a job that runs can end without an event; thousands that are queued need no early look.
            pause = max(pause, min(self._config.poll_interval, longest), len(self._jobs) / _QUEUED_READS)
            pause = min(pause, followed.max_interval or pause)
        return max(followed.heard_at + pause, followed.not_before)

    def _longest_pause(self, followed: FollowedJob) -> float:
        # Where reads fail, push has said what it had to say, or the server is away.
        trusted = self.push.is_live and not followed.failures
        longest = self._config.poll_interval_push if trusted else self._config.poll_interval
        return min(longest, followed.max_interval or longest)

    def _on_timer(self, followed: FollowedJob) -> None:
        due = self._due(followed)
        if due > self._loop.time():
            followed.timer = self._loop.call_at(due, self._on_timer, followed)
            return
        followed.timer = None
        followed.interval = min(followed.interval * _GROWTH, self._longest_pause(followed))
        self._ask(followed, ReadReason.ENDING if followed.ending else ReadReason.SAFETY_NET)
