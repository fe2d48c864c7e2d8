"""What a client needs while it is open, bound to one event loop."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from cl_client.http_service import HTTPService, parse
from cl_client.job_tracker import JobTracker
from cl_client.models import JobResponse, WorkerCapabilities
from cl_client.mqtt_monitor import MQTTJobMonitor
from cl_client.tls import make_ssl_context

if TYPE_CHECKING:
    from cl_client.auth import AuthProvider
    from cl_client.config import ComputeClientConfig
    from cl_client.transfers import MultipartUpload


class Runtime:
    """HTTP, tracker and MQTT of one client on one loop."""

    def __init__(self, config: ComputeClientConfig, auth_provider: AuthProvider) -> None:
        self.loop = asyncio.get_running_loop()
        self._config = config
        self.http = HTTPService(config, auth_provider)
        self._capabilities: tuple[WorkerCapabilities, float] | None = None
        self.tracker = JobTracker(self.read_job, config, lambda: self.monitor.is_connected)
        self.monitor = MQTTJobMonitor(config, self.tracker, partial(make_ssl_context, config))

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
        """Read a job."""
        return await self.http.get(self._config.job_path(job_id), JobResponse)

    async def read_capabilities(self, *, max_age: float) -> WorkerCapabilities:
        """What the workers can do; an answer that is no older in seconds than that is taken again."""
        if self._capabilities is not None:
            capabilities, read_at = self._capabilities
            if self.loop.time() - read_at < max_age:
                return capabilities
        capabilities = await self.http.get("/capabilities", WorkerCapabilities)
        self._capabilities = (capabilities, self.loop.time())
        return capabilities

    async def submit(self, endpoint: str, upload: MultipartUpload) -> JobResponse:
        """Post a job; the answer is a job without its details."""
        return parse(JobResponse, await self.http.submit(endpoint, upload, upload.headers))
