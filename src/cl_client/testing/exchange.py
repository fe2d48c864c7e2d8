"""One HTTP request on its way through a `FaultProxy`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cl_client.testing.http_framing import read_request_body

if TYPE_CHECKING:
    import asyncio


class HangUp(Exception):  # noqa: N818 - what to do, not what went wrong
    """Raised by a fault to have the connection to the client closed."""


@dataclass
class Exchange:
    """A request whose head has arrived.

    Attributes:
        head: Its first line and headers.
        reader: The connection to the client, read up to the end of the head.
        writer: The same connection, for the response.
        ask: Passes the request to the server; see `response`.
        body: The body as it stands on the wire, once `request` was awaited.
        keep_alive: False once the client or the server has said that the connection serves no more requests.
    """

    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ask: Callable[[Exchange], Awaitable[bytes]]
    body: bytes | None = None
    keep_alive: bool = True

    @property
    def method(self) -> str:
        """The method, such as ``"GET"``."""
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        """The path, with its query.

        Raises:
            ConnectionError: The request is not HTTP.
        """
        _, *words = self.head.split(b" ", 2)
        if not words:
            raise ConnectionError("not an HTTP request")
        return words[0].decode()

    async def request(self) -> bytes:
        """Receive the rest of the request.

        Returns:
            Its head and body.

        Raises:
            ConnectionError: The client closed the connection before the end.
        """
        if self.body is None:
            self.body, keep_alive = await read_request_body(self.head, self.reader)
            self.keep_alive = self.keep_alive and keep_alive
        return self.head + self.body

    async def response(self) -> bytes:
        """Pass the request to the server.

        Returns:
            Head and body of its response.

        Raises:
            OSError: The server cannot be reached, or closed the connection before the end.
        """
        return await self.ask(self)

    async def send(self, data: bytes) -> None:
        """Send something to the client.

        Args:
            data: Part of a response, or what is to stand in its place.
        """
        self.writer.write(data)
        await self.writer.drain()


Fault: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""Deals with one request. The connection then serves the next one, unless the fault has raised `HangUp`."""
