"""What a client needs while it is open, bound to one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cl_client._core.cancellation import wait_uncancelled
from cl_client._core.log import about_job, get_logger
from cl_client._core.single_flight import SingleFlight
from cl_client._core.telemetry import operation
from cl_client._errors import ComputeClientError
from cl_client._http.errors import Asked
from cl_client._http.service import HTTPService, parse
from cl_client._http.tls import make_ssl_context
from cl_client._jobs.ended_jobs import EndedJobs
from cl_client._jobs.tracker import JobTracker
from cl_client._mqtt.credentials import broker_credentials
from cl_client.models import JobResponse, WorkerCapabilities
from cl_client.mqtt_monitor import MQTTJobMonitor

if TYPE_CHECKING:
    import ssl

    import httpx

    from cl_client._auth.providers import AuthProvider
    from cl_client._transfers.multipart import MultipartUpload
    from cl_client.config import ComputeClientConfig


logger = get_logger("cl_client")


@dataclass(frozen=True, slots=True)
class InjectedParts:
    """What the caller made and the client only uses; None where the client makes its own."""

    ssl_context: ssl.SSLContext | None = None
    http_client: httpx.AsyncClient | None = None
    transport: httpx.AsyncBaseTransport | None = None


class Runtime:
    """HTTP, tracker and MQTT of one client on one loop."""

    def __init__(
        self, config: ComputeClientConfig, auth_provider: AuthProvider, injected: InjectedParts
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._config = config
        ssl_context = injected.ssl_context
        make_context = partial(make_ssl_context, config) if ssl_context is None else lambda: ssl_context
        self.http = HTTPService(
            config,
            auth_provider,
            make_context,
            http_client=injected.http_client,
            transport=injected.transport,
        )
        self.ended_jobs = EndedJobs(config.job_cache_size)
        self._job_reads = SingleFlight[JobResponse]()
        self._capability_reads = SingleFlight[WorkerCapabilities]()
        self._capabilities: tuple[WorkerCapabilities, float] | None = None
        self._closing = asyncio.Lock()
        self._closed = False
        self._deletions: set[asyncio.Task[None]] = set()
        read_for_tracker = partial(self.read_job, quiet=True)
        self.tracker = JobTracker(read_for_tracker, config, lambda: self.monitor.is_connected)
        self.monitor = MQTTJobMonitor(
            config, self.tracker, make_context, broker_credentials(config, auth_provider)
        )

    def start(self) -> None:
        """Begin to connect to the broker; returns at once."""
        self.monitor.start()

    async def close(self) -> None:
        """End everything, in the order of dependence; whoever asks for it meanwhile waits for that."""
        async with self._closing:
            if self._closed:
                return
            async with contextlib.AsyncExitStack() as stack:
                # In this order's reverse, and each whatever becomes of the others.
                stack.push_async_callback(self.http.close)
                stack.push_async_callback(self._capability_reads.close)
                stack.push_async_callback(self._job_reads.close)
                stack.push_async_callback(self.monitor.close)
                stack.push_async_callback(self._deletions_done)
                await self.tracker.close()
            self._closed = True

    def abandon(self) -> None:
        """Give up resources whose loop was closed without `close`; the MQTT thread ends by itself."""
        self.monitor.detach()
        self.http.abandon()

    async def close_abandoned(self) -> None:
        """End everything whose loop was closed without `close`; on another loop."""
        self.abandon()
        await self.monitor.close_abandoned()
        with contextlib.suppress(RuntimeError):  # a transport that the caller gave may need its old loop
            await self.http.close()

    async def read_job(self, job_id: str, *, quiet: bool = False) -> JobResponse:
        """Read a job as it is now; quiet where the caller warns of failures."""
        reading = self.ended_jobs.reading(job_id)
        with about_job(job_id):
            job = await self.http.get(self._config.job_path(job_id), JobResponse, Asked.JOB, quiet=quiet)
        self.ended_jobs.note(job, reading)
        return job

    async def read_job_shared(self, job_id: str) -> JobResponse:
        """Read a job, together with others who ask for it meanwhile."""
        return await self._job_reads.get(job_id, partial(self.read_job, job_id))

    async def delete_job(self, job_id: str) -> None:
        """Delete a job; whoever reads it from now on finds it gone, and whoever follows it is told."""
        self.ended_jobs.forget(job_id)
        try:
            with about_job(job_id):
                await self.http.delete(self._config.job_path(job_id), Asked.JOB)
        finally:
            self.ended_jobs.forget(job_id)
            self._job_reads.renew(job_id)
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
            async with asyncio.timeout(self._config.timeout):
                await self.delete_job(job_id)
        except (ComputeClientError, TimeoutError) as exc:
            logger.warning("job %s was abandoned but not deleted: %s", job_id, exc, extra={"job_id": job_id})

    async def _deletions_done(self) -> None:
        if self._deletions:
            await asyncio.wait(self._deletions)

    async def read_capabilities(self, *, max_age: float, quiet: bool = False) -> WorkerCapabilities:
        """What the workers can do; an answer that is no older in seconds than that is taken again."""
        if self._capabilities is not None:
            capabilities, read_at = self._capabilities
            if self.loop.time() - read_at < max_age:
                return capabilities
        return await self._capability_reads.get("", partial(self._read_capabilities, quiet=quiet))

    async def _read_capabilities(self, *, quiet: bool) -> WorkerCapabilities:
        capabilities = await self.http.get("/capabilities", WorkerCapabilities, quiet=quiet)
        self._capabilities = (capabilities, self.loop.time())
        return capabilities

    async def submit(self, task: str, endpoint: str, upload: MultipartUpload) -> JobResponse:
        """Post a job; the answer is a job without its details."""
        with operation("upload", task=task) as under_way:
            answer = await self.http.submit(endpoint, upload, upload.headers)
            under_way.transferred = upload.sent
        return parse(JobResponse, answer)
