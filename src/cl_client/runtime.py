"""What a client needs while it is open, bound to one event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cl_client.broker_credentials import broker_credentials
from cl_client.http_service import HTTPService, parse
from cl_client.job_reads import EndedJobs, SharedReads
from cl_client.job_tracker import JobTracker
from cl_client.log import about_job
from cl_client.models import JobResponse, WorkerCapabilities
from cl_client.mqtt_monitor import MQTTJobMonitor
from cl_client.telemetry import operation
from cl_client.tls import make_ssl_context

if TYPE_CHECKING:
    import ssl

    import httpx

    from cl_client.auth import AuthProvider
    from cl_client.config import ComputeClientConfig
    from cl_client.transfers.multipart import MultipartUpload


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller made and the client only uses; None where the client makes its own."""

    ssl_context: ssl.SSLContext | None = None
    http_client: httpx.AsyncClient | None = None
    transport: httpx.AsyncBaseTransport | None = None


class Runtime:
    """HTTP, tracker and MQTT of one client on one loop."""

    def __init__(self, config: ComputeClientConfig, auth_provider: AuthProvider, given: Given) -> None:
        self.loop = asyncio.get_running_loop()
        self._config = config
        ssl_context = given.ssl_context
        make_context = partial(make_ssl_context, config) if ssl_context is None else lambda: ssl_context
        self.http = HTTPService(
            config, auth_provider, make_context, http_client=given.http_client, transport=given.transport
        )
        self.ended_jobs = EndedJobs(config.job_cache_size)
        self._job_reads = SharedReads[JobResponse]()
        self._capability_reads = SharedReads[WorkerCapabilities]()
        self._capabilities: tuple[WorkerCapabilities, float] | None = None
        self.tracker = JobTracker(self.read_job, config, lambda: self.monitor.is_connected)
        self.monitor = MQTTJobMonitor(
            config, self.tracker, make_context, broker_credentials(config, auth_provider)
        )

    def start(self) -> None:
        """Begin to connect to the broker; returns at once."""
        self.monitor.start()

    async def close(self) -> None:
        """End everything, in the order of dependence."""
        try:
            await self.tracker.close()
        finally:
            try:
                await self.monitor.close()
            finally:
                await self.http.close()

    def detach(self) -> None:
        """Give up resources whose loop was closed without `close`."""
        self.monitor.detach()

    async def read_job(self, job_id: str) -> JobResponse:
        """Read a job as it is now."""
        with about_job(job_id):
            job = await self.http.get(self._config.job_path(job_id), JobResponse)
        self.ended_jobs.note(job)
        return job

    async def read_job_shared(self, job_id: str) -> JobResponse:
        """Read a job, together with others who ask for it meanwhile."""
        return await self._job_reads.get(job_id, partial(self.read_job, job_id))

    async def delete_job(self, job_id: str) -> None:
        """Delete a job; whoever reads it from now on finds it gone."""
        self.ended_jobs.forget(job_id)
        try:
            with about_job(job_id):
                await self.http.request("DELETE", self._config.job_path(job_id))
        finally:
            self.ended_jobs.forget(job_id)
            self._job_reads.renew(job_id)

    async def read_capabilities(self, *, max_age: float) -> WorkerCapabilities:
        """What the workers can do; an answer that is no older in seconds than that is taken again."""
        if self._capabilities is not None:
            capabilities, read_at = self._capabilities
            if self.loop.time() - read_at < max_age:
                return capabilities
        return await self._capability_reads.get("", self._read_capabilities)

    async def _read_capabilities(self) -> WorkerCapabilities:
        capabilities = await self.http.get("/capabilities", WorkerCapabilities)
        self._capabilities = (capabilities, self.loop.time())
        return capabilities

    async def submit(self, task: str, endpoint: str, upload: MultipartUpload) -> JobResponse:
        """Post a job; the answer is a job without its details."""
        with operation("upload", task=task) as under_way:
            answer = await self.http.submit(endpoint, upload, upload.headers)
            under_way.transferred = upload.sent
        return parse(JobResponse, answer)
