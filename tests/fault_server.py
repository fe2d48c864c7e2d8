"""A server that sends what a test wrote, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from cl_client import ComputeClient, ComputeClientConfig
from support import port_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Mapping
    from contextlib import AbstractAsyncContextManager

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def answer(status: str, body: bytes | str = "", headers: str = "") -> bytes:
    """A whole answer, of announced length."""
    content = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


class FaultyServer:
    """Answers one request per connection, and hangs up.

    Args:
        answers: In turn, the last one for ever; after None it waits until the client hangs up.
        files: What goes before, by the last part of the requested path.

    Attributes:
        requests: All that it has received, in full.
    """

    def __init__(self, *answers: bytes | None, files: Mapping[str, bytes | None] | None = None) -> None:
        self._answers = list(answers)
        self._files: Mapping[str, bytes | None] = {} if files is None else files
        self._news = asyncio.Event()
        self.requests: list[bytes] = []
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def targets(self) -> list[str]:
        """What was asked for, as it stood on the wire."""
        return [request.split(b" ", 2)[1].decode() for request in self.requests]

    async def received(self, count: int) -> None:
        """Wait until there were so many requests."""
        async with asyncio.timeout(20):
            while len(self.requests) < count:
                self._news.clear()
                await self._news.wait()

    @contextlib.asynccontextmanager
    async def running(
        self, *, tls: ssl.SSLContext | None = None, **settings: object
    ) -> AsyncGenerator[ComputeClient]:
        """The server, and a client of it."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        values = {
            "base_url": f"http{'s' if tls else ''}://127.0.0.1:{port_of(server.sockets[0])}",
            "mqtt_broker": "off",
            **settings,
        }
        async with server, ComputeClient(config=ComputeClientConfig.create(**values)) as client:
            yield client
        async with asyncio.timeout(20):
            await asyncio.gather(*self._serving)  # they hear a moment later that the client has hung up

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.ensure_future(self.serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    def read_eagerly(self, mqtt_broker: str = "off") -> AbstractAsyncContextManager[ComputeClient]:
        """The server, and a client of it that reads followed jobs all the time."""
        pauses = {"poll_min": 0.01, "poll_interval": 0.01, "poll_interval_push": 0.01}
        return self.running(tls=None, mqtt_broker=mqtt_broker, max_retries=0, **pauses)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _CONTENT_LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            self.requests.append(head + body)
            self._news.set()
            reply = await self.reply_to(head)
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
        writer.close()

    async def reply_to(self, head: bytes) -> bytes | None:
        """The answer to a request; None where there is none."""
        name = head.split(b" ")[1].rpartition(b"/")[2].decode()
        if name in self._files:
            return self._files[name]
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
