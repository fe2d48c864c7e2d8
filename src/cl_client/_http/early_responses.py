"""Connections that hear an answer while a request is still being sent.

A server may refuse an upload (401, 413, 422) long before its end, answer, and hang up. What is then written
meets a broken connection, and on asyncio a failed write also throws away what has arrived: httpx alone
would report the broken pipe, or send gigabytes that nobody wants. So these connections read while they
write, and stop writing when an answer is there; httpcore then reads that answer.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from typing import TYPE_CHECKING, Final, cast
from weakref import WeakSet

import httpcore
from typing_extensions import override

from cl_client._http.closed_loops import abort, close_socket

if TYPE_CHECKING:
    from collections.abc import Iterable

_READ_SIZE: Final = 64 * 1024
_BODY_BLOCK: Final = 16 * 1024
"""Shorter writes are heads and small bodies: over before an answer to them can come."""
_ANSWER: Final = b"HTTP/1."
_INTERIM: Final = b"HTTP/1.1 1"
"""The beginning of a 1xx, which announces an answer and is none (RFC 9110, 15.2)."""


class EarlyResponseBackend(httpcore.AsyncNetworkBackend):
    """Another backend, whose connections read while they write."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend
        # Weakly: httpcore drops a connection that fails on its way without closing it, to a SOCKS proxy that
        # refuses, for instance.
        self._open: WeakSet[_DuplexStream] = WeakSet()
        self._closed = False

    async def aclose(self) -> None:
        """Close what httpcore has left open.

        A connection that is just being made is closed as soon as it is there.
        """
        self._closed = True
        for stream in tuple(self._open):
            await stream.aclose()

    def abandon(self) -> None:
        """Close all connections, when their event loop is closed."""
        for stream in tuple(self._open):
            stream.abandon()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        if self._closed:
            await stream.aclose()
            raise httpcore.ConnectError("it was closed before there was a connection")
        return _DuplexStream(stream, self._open)

    @override
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._backend.connect_unix_socket(path, timeout, socket_options)
        return _DuplexStream(stream, self._open)

    @override
    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _DuplexStream(httpcore.AsyncNetworkStream):
    def __init__(
        self,
        stream: httpcore.AsyncNetworkStream,
        opened: WeakSet[_DuplexStream],
        *,
        multiplexed: bool = False,
    ) -> None:
        self._stream = stream
        self._opened = opened
        self._multiplexed = multiplexed
        opened.add(self)
        self._dropped = weakref.finalize(self, abort, stream, asyncio.get_running_loop())
        self._dropped.atexit = False
        self.unused_by = asyncio.current_task()
        self._received = bytearray()
        self._reading: asyncio.Task[bytes] | None = None

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.unused_by = None
        if self._reading is None:
            if len(buffer) < _BODY_BLOCK or self._multiplexed:
                return await self._stream.write(buffer, timeout)
            self._reading = self._read_on()
        # What has arrived is taken before a write that fails could throw it away: the read begins, the loop
        # looks at the socket, the read ends.
        for _ in range(3):
            await asyncio.sleep(0)
        self._stop_if_answered()
        writing = asyncio.create_task(self._stream.write(buffer, timeout))
        try:
            while not writing.done():
                await asyncio.wait({writing, self._reading}, return_when=asyncio.FIRST_COMPLETED)
                if not writing.done():
                    self._stop_if_answered()
            return await writing
        finally:
            await _ended(writing)

    def _read_on(self) -> asyncio.Task[bytes]:
        return asyncio.create_task(self._stream.read(_READ_SIZE))

    def _stop_if_answered(self) -> None:
        """Raise what makes httpcore stop sending, and look for the answer."""
        reading = self._reading
        if reading is None or not reading.done():
            return
        if reading.exception() is None and _is_interim(reading.result()):
            self._received += reading.result()
            self._reading = self._read_on()
            return
        raise httpcore.WriteError("the server answered before it had the whole request")

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._received:
            received = bytes(self._received[:max_bytes])
            del self._received[:max_bytes]
            return received
        reading = self._reading
        if reading is None:
            return await self._stream.read(max_bytes, timeout)
        await asyncio.wait({reading}, timeout=timeout)
        if not reading.done():
            raise httpcore.ReadTimeout
        self._reading = None
        return reading.result()

    @override
    async def aclose(self) -> None:
        self._let_go()
        reading, self._reading = self._reading, None
        try:
            if reading is not None:
                await _ended(reading)
        finally:
            await self._stream.aclose()

    def abandon(self) -> None:
        """Close the connection, when its event loop is closed."""
        self._reading = None
        self._let_go()
        close_socket(self._stream)

    def _let_go(self) -> None:
        self._opened.discard(self)
        self._dropped.detach()

    @override
    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self.aclose()
            raise
        tls = cast("object", stream.get_extra_info("ssl_object"))
        # HTTP/2 has answers of its own for this, and other requests' frames on the same connection.
        multiplexed = isinstance(tls, ssl.SSLObject) and tls.selected_alpn_protocol() == "h2"
        self._let_go()
        return _DuplexStream(stream, self._opened, multiplexed=multiplexed)

    @override
    def get_extra_info(self, info: str) -> object:
        return cast("object", self._stream.get_extra_info(info))


def is_unused(stream: object) -> bool:
    """Whether a connection was made by the running task, and nothing was written to it yet."""
    return isinstance(stream, _DuplexStream) and stream.unused_by is asyncio.current_task()


def _is_interim(received: bytes) -> bool:
    return received.startswith(_INTERIM) and received.count(_ANSWER) == 1


async def _ended(task: asyncio.Task[bytes] | asyncio.Task[None]) -> None:
    """Cancel a task unless it has ended, and wait until it has."""
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # taken note of: whoever ends it early wants no more of it
