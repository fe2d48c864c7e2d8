"""The resources of an open client, bound to one event loop: created and closed here."""

from __future__ import annotations

import asyncio
import contextlib
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cl_client._http.service import HTTPService
from cl_client._http.tls import make_ssl_context
from cl_client._jobs.service import JobService
from cl_client._mqtt.credentials import broker_credentials
from cl_client.mqtt_monitor import MQTTJobMonitor

if TYPE_CHECKING:
    import ssl

    import httpx

    from cl_client._auth.providers import AuthProvider
    from cl_client.config import ComputeClientConfig


@dataclass(frozen=True, slots=True)
class InjectedParts:
    """Objects from the caller that the client only uses; None if the client creates its own."""

    ssl_context: ssl.SSLContext | None = None
    http_client: httpx.AsyncClient | None = None
    transport: httpx.AsyncBaseTransport | None = None


class Runtime:
    """HTTP, jobs and MQTT of one client on one loop.

    Args:
        config: The settings.
        auth_provider: Provides the credentials.
        injected: Objects from the caller.
    """

    def __init__(
        self, config: ComputeClientConfig, auth_provider: AuthProvider, injected: InjectedParts
    ) -> None:
        self.loop = asyncio.get_running_loop()
        ssl_context = injected.ssl_context
        make_context = partial(make_ssl_context, config) if ssl_context is None else lambda: ssl_context
        self.http = HTTPService(
            config,
            auth_provider,
            make_context,
            http_client=injected.http_client,
            transport=injected.transport,
        )
        self.jobs = JobService(self.http, config)
        self.monitor = MQTTJobMonitor(
            config,
            self.jobs.tracker,
            self.jobs.workers,
            make_context,
            broker_credentials(config, auth_provider),
        )
        self._closing = asyncio.Lock()
        self._closed = False

    def with_config(self, config: ComputeClientConfig) -> Runtime:
        """Make a sibling for calls with other settings. The owner closes the shared resources.

        Args:
            config: The other settings.

        Returns:
            The sibling.
        """
        sibling = copy(self)
        sibling.http = self.http.with_config(config)
        sibling.jobs = self.jobs.with_http(sibling.http, config)
        return sibling

    async def close(self) -> None:
        """Close everything in the order of dependence; concurrent calls wait until it is done."""
        async with self._closing:
            if self._closed:
                return
            async with contextlib.AsyncExitStack() as stack:
                # In reverse order, each even if another one fails.
                stack.push_async_callback(self.http.close)
                stack.push_async_callback(self.monitor.close)
                await self.jobs.close()
            self._closed = True

    def abandon(self) -> None:
        """Release resources whose loop was closed without `close`; the MQTT thread ends by itself."""
        self.monitor.detach()
        self.http.abandon()

    async def close_abandoned(self) -> None:
        """Close resources whose own loop was closed without `close`, on another loop."""
        self.abandon()
        await self.monitor.close_abandoned()
        with contextlib.suppress(RuntimeError):  # the caller's transport may need its old loop
            await self.http.close()
