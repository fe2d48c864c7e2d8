"""uvicorn on a socket that is already bound, inside a running event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

from cl_client.local.http.bounded_requests import BoundedHTTP
from cl_client.local.net.listener import TLS_GOODBYE_SECONDS, url_of

if TYPE_CHECKING:
    import socket
    import ssl
    from contextlib import AsyncExitStack

    from starlette.types import ASGIApp

_OPEN_REQUESTS_SECONDS = 2


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
        http=BoundedHTTP,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_OPEN_REQUESTS_SECONDS,
    )
    # uvicorn's own TLS settings are files, and not all versions accept a ready context.
    config.load()
    config.ssl = tls
    server = _HTTPServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")

    async def stop() -> None:
        server.should_exit = True
        await serving

    stack.push_async_callback(stop)
    await server.accepting.wait()
    if serving.done():
        await serving
    return url_of("http" if tls is None else "https", listener)


class _HTTPServer(uvicorn.Server):
    """uvicorn, with an event that is set when it accepts connections or has failed to start."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.accepting.set()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cut = asyncio.get_running_loop().call_later(TLS_GOODBYE_SECONDS, self._cut_closed_connections)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()
            self._cut_closed_connections()

    def _cut_closed_connections(self) -> None:
        for connection in [*self.server_state.connections]:
            if self.config.ssl is not None and connection.transport.is_closing():
                connection.transport.abort()
