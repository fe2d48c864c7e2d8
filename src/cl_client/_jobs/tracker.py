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
from cl_client._errors import ClientClosedError, InvalidParameterError, JobNotFoundError
from cl_client._jobs.early_events import EarlyEvents
from cl_client._jobs.followed_job import ErrorListener, FollowedJob, Listener
from cl_client._jobs.push_health import PushHealth
from cl_client._jobs.read_errors import MAX_BAD_READS, ReadErrorLog, is_final, looks_permanent
from cl_client._jobs.read_queue import ReadQueue, ReadReason
from cl_client._jobs.subscriptions import Subscription
from cl_client.models import JobResponse, JobStatus

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from cl_client.config import ComputeClientConfig
    from cl_client.models import JobEvent, TaskOutput
    from cl_client.options import JobCallback

logger = get_logger("cl_client.jobs")

_GROWTH = 1.6


class JobTracker:
    """Follows any number of jobs for one event loop.

    Args:
        read_job: Reads a job over HTTP.
        config: Intervals and limits.
        push_is_live: Whether MQTT events arrive at present.

    Needs a running loop, and belongs to it.
    """

    def __init__(
        self,
        read_job: Callable[[str], Awaitable[JobResponse]],
        config: ComputeClientConfig,
        push_is_live: Callable[[], bool],
    ) -> None:
        self._read_job = read_job
        self._config = config
        self.push_health = PushHealth(push_is_live, config, self.on_push_lost)
        self._push_is_live = self.push_health.is_live
        self._jobs: dict[str, FollowedJob] = {}
        self._owners: dict[str, FollowedJob] = {}
        self._leaving: dict[str, Listener] = {}
        """Whose job has ended, but who has not heard all of it yet."""
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, FollowedJob] = {}
        self._early = EarlyEvents()
        self._reads = ReadQueue(self._read, config.max_concurrent_reads)
        self._read_errors = ReadErrorLog()
        self._tasks = OwnedTasks()
        self._closed = False

    @property
    def followed(self) -> int:
        """How many jobs are followed."""
        return len(self._jobs)

    @property
    def reads(self) -> Counter[ReadReason]:
        """How many HTTP reads there were, by their reason."""
        return self._reads.counts

    async def close(self) -> None:
        """End every task and timer. Callbacks hear nothing more; whoever waits hears that it is over."""
        self._closed = True
        self._leaving.clear()
        for followed in list(self._jobs.values()):
            waiting = [one for one in followed.listeners.values() if isinstance(one, ErrorListener)]
            self._forget(followed)
            for listener in waiting:
                listener.failed(ClientClosedError(followed.job_id))
        await self._reads.close()
        await self._tasks.cancel()

    def subscribe(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None,
        on_complete: JobCallback[TaskOutput] | None,
        *,
        submitted: JobResponse | None = None,
        fresh: bool = False,
    ) -> str:
        """Add a pair of callbacks; see `follow`."""
        subscription = Subscription(job_id, on_progress, on_complete, self._tasks)
        return self.follow(job_id, subscription, submitted=submitted, fresh=fresh)

    def follow(
        self,
        job_id: str,
        listener: Listener,
        *,
        submitted: JobResponse | None = None,
        fresh: bool = False,
        max_interval: float | None = None,
    ) -> str:
        """Add a listener to a job and return the id of that subscription.

        Args:
            job_id: The job.
            listener: Who is told.
            submitted: The answer of the submit call, where this process submitted the job.
            fresh: Push was live before the job was submitted, so that no event can have been missed and the
                first read can wait for the safety net.
            max_interval: The longest pause of the safety net for this job.

        Raises:
            InvalidParameterError: That is not the id of a job.
        """
        if self._closed:
            raise ClientClosedError(job_id)
        self._check_id(job_id)
        followed = self._jobs.get(job_id)
        if followed is None:
            followed = FollowedJob(job_id, submitted.task_type if submitted else "", max_interval)
            followed.interval = self._config.poll_min
            if fresh and submitted is not None and not submitted.status.is_terminal:
                followed.eventless_since = self._loop.time()
            self._jobs[job_id] = followed
        elif max_interval is not None:
            followed.max_interval = min(max_interval, followed.max_interval or max_interval)
        subscription_id = secrets.token_hex(8)
        followed.listeners[subscription_id] = listener
        self._owners[subscription_id] = followed
        if followed.job is not None:
            followed.uninformed = (followed.uninformed or set()) | {subscription_id}
        self._loop.call_soon(
            self._begin, followed, subscription_id, submitted, fresh, self._early.take(job_id)
        )
        return subscription_id

    def _check_id(self, job_id: str) -> None:
        try:
            self._config.job_path(job_id)
        except TypeError:
            raise InvalidParameterError(f"{job_id!r} is not the id of a job") from None

    def _begin(
        self,
        followed: FollowedJob,
        subscription_id: str,
        submitted: JobResponse | None,
        fresh: bool,  # noqa: FBT001 - call_soon passes no keywords
        early: Sequence[JobEvent],
    ) -> None:
        """First news for a new listener: never inside `follow`, whose caller does not have the id yet."""
        if self._jobs.get(followed.job_id) is not followed:
            return
        if submitted is not None and submitted.status.is_terminal:
            self._on_end(followed)  # the answer of a submit is no full job
        elif submitted is not None:
            self._merge(followed, submitted)
        for event in early:
            self.on_event(event)
        self._inform(followed, subscription_id)
        if fresh and followed.job is not None:
            self._arm(followed)
        elif not followed.ending:
            self._ask(followed, ReadReason.FIRST)

    def _inform(self, followed: FollowedJob, subscription_id: str) -> None:
        """Tell a new listener what the others know, unless it was told of something newer meanwhile."""
        if followed.uninformed is None or subscription_id not in followed.uninformed:
            return
        followed.uninformed.discard(subscription_id)
        listener = followed.listeners.get(subscription_id)
        if listener is not None and followed.job is not None:
            listener.progress(followed.job)

    def unfollow(self, subscription_id: str) -> None:
        """Remove one listener, who hears nothing more; the job's other listeners stay. Idempotent."""
        followed = self._owners.pop(subscription_id, None)
        listener = self._leaving.pop(subscription_id, None)
        if followed is not None:
            listener = followed.listeners.pop(subscription_id, None)
        if isinstance(listener, Subscription):
            listener.cancel()
        if followed is not None and not followed.listeners:
            self._forget(followed)

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
                self._ask(followed, ReadReason.WORKER_IDLE)

    def reconcile(self) -> None:
        """Read every followed job: after a reconnect, or after messages were dropped."""
        for followed in list(self._jobs.values()):
            followed.eventless_since = None  # its events may have been lost
            self._ask(followed, ReadReason.RECONCILE)

    def on_deleted(self, job_id: str) -> None:
        """This client has deleted a job, or has tried to: whoever follows it is told soon."""
        followed = self._jobs.get(job_id)
        if followed is not None:
            self._ask(followed, ReadReason.DELETED)

    def on_push_lost(self) -> None:
        """Push ended: the longer intervals no longer hold."""
        for followed in list(self._jobs.values()):
            followed.eventless_since = None
            followed.interval = self._config.poll_min
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
            self._read_errors.warn_unknown_status(job)
        advances = self._advances(followed, job.status, job.progress)
        job = followed.not_behind(job)
        followed.job = job
        if advances:
            self._tell(followed, job)

    def _tell(self, followed: FollowedJob, job: JobResponse) -> None:
        followed.job = job
        followed.uninformed = None
        for subscription_id, listener in tuple(followed.listeners.items()):
            if subscription_id in followed.listeners:
                listener.progress(job)

    def _complete(self, followed: FollowedJob, job: JobResponse) -> None:
        followed.job = job
        if followed.eventless_since is not None and job.status is not JobStatus.DELETED:
            self.push_health.ended_without_event(self._loop.time() - followed.eventless_since)
        listeners = dict(followed.listeners)
        self._forget(followed)
        self._leaving |= listeners
        for subscription_id, listener in listeners.items():
            if subscription_id not in self._leaving:  # a callback before has ended it, or closed the client
                continue
            listener.complete(job)
            leave = partial(self._leaving.pop, subscription_id, None)
            if isinstance(listener, Subscription):
                listener.when_idle(leave)
            else:
                leave()

    def _forget(self, followed: FollowedJob) -> None:
        if self._jobs.get(followed.job_id) is followed:
            del self._jobs[followed.job_id]
            self._running.pop(followed.job_id, None)
            self._reads.drop(followed.job_id)
            self._read_errors.forget(followed.job_id)
        for subscription_id in followed.listeners:
            self._owners.pop(subscription_id, None)
        followed.listeners.clear()
        if followed.timer is not None:
            followed.timer.cancel()

    def _is_followed(self, followed: FollowedJob) -> bool:
        return not self._closed and self._jobs.get(followed.job_id) is followed

    def _ask(self, followed: FollowedJob, reason: ReadReason) -> None:
        if self._is_followed(followed):
            self._reads.ask(followed.job_id, reason)

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
        if self._push_is_live() and not followed.runs:
            # Only a job that runs can end without an event; thousands that are queued need no early look.
            pause = max(pause, min(self._config.poll_interval, longest))
        return followed.heard_at + pause

    def _longest_pause(self, followed: FollowedJob) -> float:
        longest = self._config.poll_interval_push if self._push_is_live() else self._config.poll_interval
        return min(longest, followed.max_interval or longest)

    def _on_timer(self, followed: FollowedJob) -> None:
        due = self._due(followed)
        if due > self._loop.time():
            followed.timer = self._loop.call_at(due, self._on_timer, followed)
            return
        followed.timer = None
        followed.interval = min(followed.interval * _GROWTH, self._longest_pause(followed))
        self._ask(followed, ReadReason.SAFETY_NET)

    async def _read(self, job_id: str) -> None:
        followed = self._jobs.get(job_id)
        if followed is None:
            return
        try:
            job = await self._read_job(job_id)
        except Exception as exc:  # noqa: BLE001 - an auth provider of the application may raise anything
            self._on_read_error(followed, exc)
        else:
            if self._is_followed(followed):
                followed.bad_reads = 0
                self._read_errors.clear(job_id)
                self._merge(followed, job)
        finally:
            followed.ending = False
            self._arm(followed)

    def _on_read_error(self, followed: FollowedJob, error: Exception) -> None:
        if not self._is_followed(followed):
            return
        followed.bad_reads = followed.bad_reads + 1 if looks_permanent(error) else 0
        if is_final(error) or followed.bad_reads >= MAX_BAD_READS:
            for subscription_id, listener in tuple(followed.listeners.items()):
                if isinstance(listener, ErrorListener):
                    self.unfollow(subscription_id)
                    listener.failed(error)
        if isinstance(error, JobNotFoundError):
            known = followed.job or JobResponse(
                job_id=followed.job_id, task_type=followed.task_type, status=JobStatus.DELETED, raw_status=""
            )
            gone = {"status": JobStatus.DELETED, "error_message": str(error)}
            self._complete(followed, known.model_copy(update=gone))
            return
        if self._is_followed(followed):
            self._read_errors.note(followed.job_id, error)
