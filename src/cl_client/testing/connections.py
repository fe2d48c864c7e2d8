"""TCP connections that a test kit's servers accept, all of which end with them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection, which is closed when it returns."""


@contextlib.asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncGenerator[None]:
    """Close a connection at the end of a block; after an exception at once, whatever was not sent yet.

    Args:
        writer: The connection.

    Yields:
        Nothing.
    """
    try:
        yield
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    except BaseException:
        writer.transport.abort()  # a peer that does not read would delay anything else for ever
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        raise


class ReceivedRequests:
    """What a server of the test kit has received.

    Attributes:
        requests: The requests, in the order in which they arrived.
    """

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._news = asyncio.Event()

    async def received(self, count: int) -> None:
        """Wait until so many requests have arrived since the start. Wrap it in `asyncio.timeout`.

        Args:
            count: How many requests, finished or not.
        """
        while len(self.requests) < count:
            self._news.clear()
            await self._news.wait()

    def _note(self, request: bytes) -> None:
        self.requests.append(request)
        self._news.set()


class ConnectionServer:
    """Listens on a free port of this machine.

    Args:
        serve: Serves each connection. `close` raises the first of its exceptions.
    """

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._error: Exception | None = None

    @property
    def port(self) -> int:
        """Where it listens.

        Raises:
            RuntimeError: It was not started, or is closed.
        """
        if self._server is None:
            raise RuntimeError("This server does not run: use it in an async with block")
        return cast("tuple[str, int]", self._server.sockets[0].getsockname())[1]

    async def start(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        """Begin to listen.

        Args:
            tls: For encrypted connections; None for plain ones.
            port: The port; 0 for a free one.

        Raises:
            OSError: The port is in use.
        """
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, ssl=tls)

    async def cut(self) -> None:
        """Close all connections, even in the middle of a message."""
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def close(self) -> None:
        """Close all connections, and listen no more. Idempotent.

        Raises:
            Exception: What has failed while a connection was served, such as a fault that a test defines.
        """
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await self.cut()
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def drained(self) -> None:
        """Wait until all connections have ended by themselves."""
        await asyncio.gather(*self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.ensure_future(self._serve_one(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with closing(writer):
                await self._serve(reader, writer)
        except Exception as exc:  # noqa: BLE001 - raised by `close`, where a test sees it
            self._error = self._error or exc
