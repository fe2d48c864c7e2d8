"""Jobs on one event loop: read them, wait for them, delete them."""

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
from cl_client._jobs.references import References
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
    """The operations on jobs.

    Args:
        http: Sends requests to the server.
        config: Limits and intervals.

    Attributes:
        reader: Reads jobs and caches ended jobs.
        tracker: Follows jobs.
        workers: The workers of the server.
        references: Submits files that are on the server's disk.
    """

    def __init__(self, http: HTTPService, config: ComputeClientConfig) -> None:
        self.http = http
        self.config = config
        self.reader = JobReader(
            self._fetch, limit=config.max_concurrent_reads, cache_size=config.job_cache_size
        )
        self.tracker = JobTracker(self.reader, config)
        self.workers = Workers(self._fetch_capabilities, self.tracker, config.worker_stale_after)
        self.references = References(http, config)
        self._reads = SingleFlight[JobResponse]()
        self._all_reads = WeakSet([self._reads])
        self._deletions: set[asyncio.Task[None]] = set()

    def with_http(self, http: HTTPService, config: ComputeClientConfig) -> JobService:
        """Make a sibling for calls with other settings. It shares the jobs, but no requests.

        Args:
            http: Sends requests with the other settings.
            config: The other settings.

        Returns:
            The sibling.
        """
        sibling = copy(self)
        sibling.http, sibling.config = http, config
        sibling.references = self.references.with_http(http, config)
        sibling._reads = SingleFlight[JobResponse]()  # noqa: SLF001 - of the same class
        self._all_reads.add(sibling._reads)  # noqa: SLF001 - see above
        return sibling

    async def close(self) -> None:
        """Stop following jobs, and wait until abandoned jobs are deleted."""
        await self.tracker.close()
        await asyncio.sleep(0)  # lets waits that were just cancelled start their deletions
        if self._deletions:
            await asyncio.wait(self._deletions)
        await self.workers.close()
        for reads in tuple(self._all_reads):
            await reads.close()

    async def get(self, job_id: str) -> JobResponse:
        """Read a job; concurrent calls share one request.

        Args:
            job_id: The job.

        Returns:
            The job.
        """
        return await self._reads.get(job_id, partial(self._read_patiently, job_id))

    async def _read_patiently(self, job_id: str) -> JobResponse:
        with about_job(job_id):
            return await self.http.retried(can_repeat, partial(self.reader.read, job_id, self._fetch))

    async def _fetch(self, job_id: str) -> JobResponse:
        with about_job(job_id):
            return await self.http.get_once(self.config.job_path(job_id), JobResponse, Asked.JOB)

    async def capabilities(self, *, max_age: float) -> WorkerCapabilities:
        """Read the capabilities of the workers from the server.

        Args:
            max_age: Maximum age of a cached answer in seconds; 0 for a new request.

        Returns:
            The capabilities.
        """
        key = str(id(self.http))  # the request keeps this object alive
        return await self.workers.capabilities(self._fetch_capabilities, key, max_age=max_age)

    async def _fetch_capabilities(self, *, quiet: bool) -> WorkerCapabilities:
        return await self.http.get("/capabilities", WorkerCapabilities, quiet=quiet)

    async def delete(self, job_id: str) -> None:
        """Delete a job. Later reads do not find it, and its listeners are notified.

        Args:
            job_id: The job.
        """
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
        """Delete a job that is no longer waited for. Completes even if the caller is cancelled again.

        Takes up to the config's ``timeout``. A failure is logged.

        Args:
            job_id: The job.
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
            logger.warning(
                "job %s was abandoned, but could not be deleted: %r", job_id, exc, extra={"job_id": job_id}
            )

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
            seconds: Timeout in seconds, None for no limit; reported by `JobTimeoutError`.
            spent: Seconds of the timeout that have already passed.
            delete_on_cancel: Delete the job if this wait is cancelled or times out.
            submitted: See `JobTracker.follow`.
            fresh: See `JobTracker.follow`.
            poll_interval: Maximum seconds between two reads of the safety net; None for the config's.
            meanwhile: Awaited first, while the job is already followed.

        Returns:
            The ended job.

        Raises:
            JobTimeoutError: The wait timed out.
            ComputeClientError: The end of the job cannot be determined.
            TimeoutError: Raised by an auth provider.
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
            if not limit.expired():  # raised by an auth provider
                raise
            known = self.tracker.last_known(job_id) or submitted
            raise JobTimeoutError(job_id, seconds or 0.0, known) from None
        finally:
            self.tracker.unfollow(waiter)
            if delete_on_cancel and waiter.abandoned:
                await self.delete_abandoned(job_id)
