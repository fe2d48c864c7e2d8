"""A proxy between clients and a real server, which does to single requests what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import httpx

from cl_client import ComputeClient, ComputeClientConfig
from support import port_of

if TYPE_CHECKING:
    from typing import Self

    from cl_client.local import LocalServer

_CONTENT_LENGTH = re.compile(rb"(\r\ncontent-length: *)(\d+)", re.IGNORECASE)
_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class HangUp(Exception):  # noqa: N818 - what to do, not what went wrong
    """The connection to the client is to be closed."""


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    announced = _CONTENT_LENGTH.search(head)
    return await reader.readexactly(int(announced[2]) if announced else 0)


@dataclass
class Exchange:
    """A request whose head has arrived, and where its answer goes."""

    proxy: FaultProxy
    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The whole request."""
        return self.head + await _body(self.head, self.reader)

    async def answer(self) -> bytes:
        """What the server says to it."""
        target = self.proxy.target
        request = await self.request()
        reader, writer = await asyncio.open_connection(target.host, target.port)
        async with _closing(writer):
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            answer = head + await _body(head, reader)
        self.proxy.answers.append(answer)
        return answer

    async def send(self, data: bytes) -> None:
        """Send something to the client."""
        self.writer.write(data)
        await self.writer.drain()


Fault: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""Deals with one request; then the connection serves the next one, unless this has raised `HangUp`.

Those below that need to know more are given it with `functools.partial`.
"""


async def pass_on(exchange: Exchange) -> None:
    """No fault."""
    await exchange.send(await exchange.answer())


async def cut(exchange: Exchange, after: int) -> None:
    """Hang up after so many bytes of the answer, its head among them."""
    await exchange.send((await exchange.answer())[:after])
    raise HangUp


async def stall(exchange: Exchange, after: int) -> None:
    """Stop after so many bytes of the answer, its head among them; send the rest when that is released."""
    answer = await exchange.answer()
    await exchange.send(answer[:after])
    exchange.proxy.stalled.set()
    await exchange.proxy.released.wait()
    await exchange.send(answer[after:])


async def trickle(exchange: Exchange) -> None:
    """Send the answer byte by byte."""
    for byte in await exchange.answer():
        await exchange.send(bytes([byte]))
        await asyncio.sleep(0)  # else several would go together


async def announce(exchange: Exchange, difference: int) -> None:
    """Add to the announced length of the answer, and send its body as it is; hang up if that is shorter."""
    answer = await exchange.answer()
    await exchange.send(
        _CONTENT_LENGTH.sub(lambda found: b"%s%d" % (found[1], int(found[2]) + difference), answer, count=1)
    )
    if difference > 0:
        raise HangUp


async def reply(exchange: Exchange, answer: bytes) -> None:
    """Take the whole request, and answer in place of the server."""
    await exchange.request()
    await exchange.send(answer)


async def refuse(exchange: Exchange, answer: bytes) -> None:
    """Answer at once, and hang up without reading the request's body."""
    await exchange.send(answer)
    raise HangUp


async def reset(exchange: Exchange, after: int) -> None:
    """Reset the connection when so many bytes of the request's body have come."""
    await exchange.reader.readexactly(after)
    connection = cast("socket.socket", exchange.writer.get_extra_info("socket"))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    raise HangUp


class FaultProxy:
    """Passes requests on to a server, except for those that a fault is planned for.

    Args:
        server: A compute service, or the address of another service.

    Attributes:
        requests: The heads of all requests.
        answers: What the server said to those that were passed on to it.
        stalled: Set when an answer has stopped.
        released: Set it to let stopped answers go on.
    """

    def __init__(self, server: LocalServer | str) -> None:
        self.target = httpx.URL(server if isinstance(server, str) else server.base_url)
        self.requests: list[bytes] = []
        self.answers: list[bytes] = []
        self._news = asyncio.Event()
        self.stalled = asyncio.Event()
        self.released = asyncio.Event()
        self._faults: deque[Fault] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_args: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def plan(self, fault: Fault, times: int = 1) -> None:
        """Deal so with the next requests for which nothing is planned yet."""
        self._faults.extend([fault] * times)

    async def received(self, count: int) -> None:
        """Wait until there were so many requests."""
        async with asyncio.timeout(20):
            while len(self.requests) < count:
                self._news.clear()
                await self._news.wait()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http://127.0.0.1:{port_of(self._server.sockets[0])}"

    def client(self, **settings: object) -> ComputeClient:
        """A client whose requests go through here."""
        values: dict[str, object] = {"base_url": self.base_url, "mqtt_broker": "off", **settings}
        return ComputeClient(config=ComputeClientConfig.create(**values))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            with contextlib.suppress(HangUp, ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    self.requests.append(head)
                    self._news.set()
                    fault = self._faults.popleft() if self._faults else pass_on
                    await fault(Exchange(self, head, reader, writer))


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
