"""Jobs on one event loop: read, waited for, deleted."""

from __future__ import annotations

import asyncio
from copy import copy
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from cl_client._core.cancellation import wait_uncancelled
from cl_client._core.log import about_job, get_logger
from cl_client._core.single_flight import SingleFlight
from cl_client._core.telemetry import operation
from cl_client._http.errors import Asked
from cl_client._http.retries import can_repeat
from cl_client._jobs.reader import JobReader
from cl_client._jobs.tracker import JobTracker
from cl_client._jobs.waiting import Waiter
from cl_client._jobs.workers import Workers
from cl_client.models import JobResponse, JobTimeoutError, WorkerCapabilities

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client._http.service import HTTPService
    from cl_client.config import ComputeClientConfig

logger = get_logger("cl_client.jobs")


class JobService:
    """What a client can do with jobs.

    Args:
        http: Requests to the server.
        config: Limits and intervals.

    Attributes:
        reader: Reads jobs, and keeps those that have ended.
        tracker: Follows jobs.
        workers: Who runs them.
    """

    def __init__(self, http: HTTPService, config: ComputeClientConfig) -> None:
        self.http = http
        self.config = config
        self.reader = JobReader(
            self._fetch, limit=config.max_concurrent_reads, cache_size=config.job_cache_size
        )
        self.tracker = JobTracker(self.reader, config)
        self.workers = Workers(self._fetch_capabilities, self.tracker, config.worker_stale_after)
        self._reads = SingleFlight[JobResponse]()
        self._all_reads = WeakSet([self._reads])
        self._deletions: set[asyncio.Task[None]] = set()

    def with_http(self, http: HTTPService, config: ComputeClientConfig) -> JobService:
        """The same jobs, for calls with other settings: these share no read with calls of this one."""
        sibling = copy(self)
        sibling.http, sibling.config = http, config
        sibling._reads = SingleFlight[JobResponse]()  # noqa: SLF001 - of the same class
        self._all_reads.add(sibling._reads)  # noqa: SLF001 - alike
        return sibling

    async def close(self) -> None:
        """Follow nothing more; over when the jobs that nobody waits for any more are deleted."""
        await self.tracker.close()
        await asyncio.sleep(0)  # waits that were cancelled a moment ago begin their deletions
        if self._deletions:
            await asyncio.wait(self._deletions)
        await self.workers.close()
        for reads in tuple(self._all_reads):
            await reads.close()

    async def get(self, job_id: str) -> JobResponse:
        """Read a job, together with others who ask for it meanwhile."""
        return await self._reads.get(job_id, partial(self._read_patiently, job_id))

    async def _read_patiently(self, job_id: str) -> JobResponse:
        with about_job(job_id):
            return await self.http.retried(can_repeat, partial(self.reader.read, job_id, self._fetch))

    async def _fetch(self, job_id: str) -> JobResponse:
        with about_job(job_id):
            return await self.http.get_once(self.config.job_path(job_id), JobResponse, Asked.JOB)

    async def capabilities(self, *, max_age: float) -> WorkerCapabilities:
        """What the server says of its workers; an answer that is no older in seconds is taken again."""
        key = str(id(self.http))  # which the request itself keeps alive
        return await self.workers.capabilities(self._fetch_capabilities, key, max_age=max_age)

    async def _fetch_capabilities(self, *, quiet: bool) -> WorkerCapabilities:
        return await self.http.get("/capabilities", WorkerCapabilities, quiet=quiet)

    async def delete(self, job_id: str) -> None:
        """Delete a job; whoever reads it from now on finds it gone, and whoever follows it is told."""
        self.reader.forget(job_id)
        try:
            with about_job(job_id):
                await self.http.delete(self.config.job_path(job_id), Asked.JOB)
        finally:
            self.reader.forget(job_id)
            for reads in tuple(self._all_reads):
                reads.renew(job_id)
            self.tracker.on_deleted(job_id)

    async def delete_abandoned(self, job_id: str) -> None:
        """Delete a job that nobody waits for any more; over when that is done, also when cancelled again.

        Takes up to the config's ``timeout``. A failure is logged.
        """
        deletion = asyncio.create_task(self._delete_in_time(job_id))
        self._deletions.add(deletion)
        deletion.add_done_callback(self._deletions.discard)
        await wait_uncancelled(deletion)

    async def _delete_in_time(self, job_id: str) -> None:
        try:
            async with asyncio.timeout(self.config.timeout):
                await self.delete(job_id)
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - an auth provider may raise anything
            logger.warning("job %s was abandoned but not deleted: %r", job_id, exc, extra={"job_id": job_id})

    async def wait(
        self,
        job_id: str,
        seconds: float | None,
        *,
        spent: float = 0.0,
        delete_on_cancel: bool,
        submitted: JobResponse | None = None,
        fresh: bool = False,
        poll_interval: float | None = None,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> JobResponse:
        """Wait until a job has ended.

        Args:
            job_id: The job.
            seconds: How long, None for no limit; it is what the error of a timeout says.
            spent: How many of these are over already.
            delete_on_cancel: Delete the job when this wait is cancelled or times out.
            submitted: See `JobTracker.follow`, like the next one.
            fresh: Whether no event can have been missed.
            poll_interval: The longest pause of the safety net.
            meanwhile: What else is to be done first, while the job is followed already.

        Raises:
            JobTimeoutError: The time is up.
            ComputeClientError: Its end will not be known.
        """
        waiter, limit = Waiter(poll_interval), asyncio.timeout(None if seconds is None else seconds - spent)
        self.tracker.follow(job_id, waiter, submitted=submitted, fresh=fresh)
        try:
            with operation("wait", job_id=job_id, task=submitted and submitted.task_type) as under_way:
                async with limit:
                    if meanwhile is not None:
                        await meanwhile()
                    job = await waiter.ended
                under_way.note(task=job.task_type, status=job.status)
                return job
        except TimeoutError:
            if not limit.expired():  # one of an auth provider
                raise
            known = self.tracker.last_known(job_id) or submitted
            raise JobTimeoutError(job_id, seconds or 0.0, known) from None
        finally:
            self.tracker.unfollow(waiter)
            if delete_on_cancel and waiter.abandoned:
                await self.delete_abandoned(job_id)
