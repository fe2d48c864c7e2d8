"""uvicorn on a socket that is already bound, inside a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

from cl_client.local.http.bounded_requests import BoundedHTTP
from cl_client.local.net.joining_transport import JoiningTransport
from cl_client.local.net.listener import TLS_GOODBYE_SECONDS, url_of

if TYPE_CHECKING:
    import socket
    import ssl
    from contextlib import AsyncExitStack

    from starlette.types import ASGIApp

_OPEN_REQUESTS_SECONDS = 2
_IDLE_SECONDS = 20
"""Longer than clients keep connections (httpx: 5 s), also on a busy machine: a client may send a request
while the server closes its connection."""


async def start_http(
    stack: AsyncExitStack, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None
) -> str:
    """Answer requests until the stack is closed.

    Args:
        stack: Stops the server when it is closed.
        app: The application to serve.
        listener: A bound, listening socket.
        tls: Context for https; None for plain HTTP.

    Returns:
        The URL of the server.
    """
    config = uvicorn.Config(
        app,
        http=_HTTPProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_OPEN_REQUESTS_SECONDS,
    )
    # uvicorn's own TLS settings are files, and not all versions accept a ready context.
    config.load()
    config.ssl = tls
    server = _HTTPServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")

    async def stop() -> None:
        server.stop()
        await serving

    stack.push_async_callback(stop)
    await server.accepting.wait()
    if serving.done():
        await serving
    return url_of("http" if tls is None else "https", listener)


class _HTTPProtocol(BoundedHTTP):
    """uvicorn's protocol, which sends the headers and the body of a small response together."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(JoiningTransport(transport))


class _HTTPServer(uvicorn.Server):
    """uvicorn, with an event that is set when it accepts connections or has failed to start."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin to stop."""
        self.should_exit = True
        self._stopping.set()

    @override
    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether to stop. Tick 0, like each tenth, sets the date header.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.accepting.set()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.config.ssl is None and await self._closed_at_once():
            return
        cut = asyncio.get_running_loop().call_later(TLS_GOODBYE_SECONDS, self._cut_closed_connections)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()
            self._cut_closed_connections()

    async def _closed_at_once(self) -> bool:
        """Close what is idle; whether that was all. uvicorn waits for 0.1 s even if there is nothing else."""
        for server in self.servers:
            server.close()
        for _ in range(3):  # what asyncio has just accepted becomes a connection two iterations later
            await asyncio.sleep(0)
        for connection in [*self.server_state.connections]:
            connection.shutdown()
        await asyncio.sleep(0)  # they close in the next one
        return not self.server_state.connections and not self.server_state.tasks

    def _cut_closed_connections(self) -> None:
        for connection in [*self.server_state.connections]:
            if self.config.ssl is not None and connection.transport.is_closing():
                connection.transport.abort()
