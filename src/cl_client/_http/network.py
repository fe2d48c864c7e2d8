"""Connections for httpcore that notice a response while they send, and that close immediately.

A server may reject an upload (401, 413, 422) long before its end, and close the connection. Writing then
fails, and after a failed write asyncio discards received data. Therefore these connections always read, and
stop writing as soon as a response arrives, which httpcore then reads.

Closing is one call that does not wait. httpcore and anyio close in steps, behind a shield against
cancellation that a second `Task.cancel` breaks; the connection then stays open forever.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import select
import socket
import sys
from typing import TYPE_CHECKING, Final, cast

import httpcore
from typing_extensions import override

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

_MOST_RECEIVED: Final = 256 * 1024
"""Maximum number of bytes that wait to be read; reading from the server pauses above it."""
_BODY_BLOCK: Final = 16 * 1024
"""Smaller writes are headers or small bodies, which are sent before a response can arrive."""
_TOGETHER_SECONDS: Final = 0.005
"""Smaller writes wait as long for more to send: headers, the head of a form, a small file and the end."""
_INTERIM: Final = b"HTTP/1.1 1"
"""Start of a 1xx, which precedes the actual response (RFC 9110, 15.2)."""
_SECOND_ADDRESS_AFTER: Final = 0.25
"""Seconds until the next address of a host is tried (RFC 8305, 5), since the first may be unreachable."""


_HUNG_UP: Final = "the server closed the connection"


class Network(httpcore.AsyncNetworkBackend):
    """Opens the network streams of one httpcore connection, usually only one."""

    def __init__(self) -> None:
        self._streams: list[_Stream] = []
        self._aborted = False

    @property
    def has_ended(self) -> bool:
        """Whether the event loop knows that a stream has ended."""
        return any(stream.has_ended for stream in self._streams)

    def abort(self) -> None:
        """Close all streams immediately, even those that are being opened, and even if the loop is closed."""
        self._aborted = True
        while self._streams:
            self._streams.pop().abort()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                stream = await self._connected(host, port)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpcore.ConnectError(str(exc)) from exc
        if self._aborted:
            stream.abort()
            raise httpcore.ConnectError("closed while connecting")
        return stream

    async def _connected(self, host: str, port: int) -> _Stream:
        """Try the addresses of a host, each shortly after the previous one, until one connects."""
        # asyncio's own implementation of this loses sockets when it is cancelled.
        loop = asyncio.get_running_loop()
        addresses = [host]
        if not _is_address(host):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        racing: dict[asyncio.Task[None], _Stream] = {}
        error: BaseException | None = None
        try:
            while addresses or racing:
                if addresses:
                    stream = _Stream(loop)
                    self._streams.append(stream)
                    attempt = loop.create_task(_open(loop, stream, addresses.pop(0), port))
                    attempt.add_done_callback(_note)
                    racing[attempt] = stream
                pause = _SECOND_ADDRESS_AFTER if addresses else None
                done, _ = await asyncio.wait(racing, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    stream = racing.pop(task)
                    error = task.exception()
                    if error is None:
                        return stream
        finally:
            for task, stream in racing.items():
                task.cancel()
                stream.abort()
                if stream in self._streams:  # unless all were aborted meanwhile
                    self._streams.remove(stream)
        raise error or OSError(f"no address found for host {host}")


async def _open(loop: asyncio.AbstractEventLoop, stream: _Stream, address: str, port: int) -> None:
    await loop.create_connection(lambda: stream, address, port)


def _note(attempt: asyncio.Task[None]) -> None:
    """Read the result of an attempt, so that asyncio does not log an error that nobody waits for."""
    if not attempt.cancelled():
        attempt.exception()


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._below_tls: asyncio.Transport | None = None
        self._multiplexed = False
        self._received = bytearray()
        self._reading_paused = False
        self._writing_paused = False
        self._ended = False
        self._error: Exception | None = None
        self._unheard = 0
        self._unsent = bytearray()
        self._sending: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Future[bool]] = set()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will be received."""
        return self._ended

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._ended:
            self._transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) >= _MOST_RECEIVED and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        self._changed()

    @override
    def eof_received(self) -> None:
        self._ended = True
        self._changed()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._error = True, self._error or exc
        self._changed()

    @override
    def pause_writing(self) -> None:
        self._writing_paused = True

    @override
    def resume_writing(self) -> None:
        self._writing_paused = False
        self._changed()

    def _changed(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(True)

    async def _change(self, until: float | None) -> bool:
        """Wait for the next change; return False if the time limit expires first."""
        waiter: asyncio.Future[bool] = self._loop.create_future()
        timer = None if until is None else self._loop.call_at(until, _expire, waiter)
        self._waiting.add(waiter)
        try:
            return await waiter
        finally:
            self._waiting.discard(waiter)
            if timer is not None:
                timer.cancel()

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._send()
        until = None if timeout is None else self._loop.time() + timeout
        while not self._received and not self._ended:
            if not await self._change(until):
                raise httpcore.ReadTimeout
        if not self._received and self._error is not None:
            raise httpcore.ReadError(str(self._error)) from self._error
        with memoryview(self._received) as view:  # slices of the array itself would be copied twice
            received = bytes(view[:max_bytes])
        del self._received[:max_bytes]
        if self._reading_paused and not self._received and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        return received

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unheard += len(buffer)
        if self._unheard >= _BODY_BLOCK and not self._multiplexed:
            await self._hear()
        self._check_writable()
        # Each write to a socket costs as much as the rest of a small request, also for the server.
        if len(buffer) < _BODY_BLOCK and not self._multiplexed:
            self._unsent += buffer
            if len(self._unsent) >= _BODY_BLOCK:
                self._send()
            elif self._sending is None:
                self._sending = self._loop.call_later(_TOGETHER_SECONDS, self._send)
        else:
            self._send()
            if self._transport is not None:
                self._transport.write(buffer)
        if not self._writing_paused:
            return
        until = None if timeout is None else self._loop.time() + timeout
        while self._writing_paused:
            if not await self._change(until):
                raise httpcore.WriteTimeout
            self._check_writable()

    async def _hear(self) -> None:
        """Let the loop read what the server has sent, before a failed write could discard it."""
        # asyncio needs up to three turns of the loop for that. They are a fifth of an upload's CPU time, so
        # most of them are left out.
        self._unheard = 0
        await asyncio.sleep(0)
        if self._transport is not None and not self._ended and _may_have_received(self._transport):
            for _ in range(3):
                await asyncio.sleep(0)

    def _send(self) -> None:
        """Write what was held back."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        if self._unsent and self._transport is not None:
            unsent, self._unsent = self._unsent, bytearray()
            self._transport.write(unsent)

    def _check_writable(self) -> None:
        """Raise an error that makes httpcore stop sending and read the response."""
        if self._ended:
            raise httpcore.WriteError(str(self._error or _HUNG_UP)) from self._error
        # HTTP/2 handles this itself, and receives frames of other requests on the same connection.
        if self._received and not self._multiplexed and _without_interim(bytes(self._received)):
            raise httpcore.WriteError("the server answered before it received the whole request")

    @override
    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        below = self._transport
        if below is None or self._ended:
            raise httpcore.ConnectError(_HUNG_UP)
        self._send()
        self._below_tls = self._below_tls or below
        try:
            async with asyncio.timeout(timeout):
                self._transport = await self._loop.start_tls(
                    below, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(str(exc)) from exc
        except OSError as exc:  # including SSLError
            raise httpcore.ConnectError(str(exc)) from exc
        if self._transport is None:
            raise httpcore.ConnectError(_HUNG_UP)
        tls = cast("ssl.SSLObject", self._transport.get_extra_info("ssl_object"))
        self._multiplexed = tls.selected_alpn_protocol() == "h2"
        return self

    @override
    async def aclose(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._ended, self._error = True, self._error or ConnectionAbortedError("the connection was closed")
        self._received.clear()
        self._unsent.clear()
        if self._sending is not None:
            self._sending.cancel()
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if not self._loop.is_closed():
            self._changed()
            transport.abort()
            return
        # The loop was closed first, but asyncio finishes an abort on the loop. This calls the method that the
        # loop would have called. A loop without it, such as uvloop's, closes its sockets when it is closed.
        with contextlib.suppress(RuntimeError):
            transport.abort()
        finish = cast("object", getattr(self._below_tls or transport, "_call_connection_lost", None))
        is_open = cast("socket.socket", transport.get_extra_info("socket")).fileno() != -1
        if callable(finish) and is_open:
            with contextlib.suppress(RuntimeError):
                finish(None)

    @override
    def get_extra_info(self, info: str) -> object:
        if self._transport is None:
            return info == "is_readable" or None
        if info == "is_readable":
            return bool(self._received) or self._ended or _is_readable(self._transport)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return cast("object", self._transport.get_extra_info(names.get(info, info)))


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _without_interim(received: bytes) -> bytes:
    """Remove leading interim (1xx) responses."""
    while received.startswith(_INTERIM):
        received = received.partition(b"\r\n\r\n")[2]
    return received


def _may_have_received(transport: asyncio.Transport) -> bool:
    """Check whether the system has received data that asyncio has not read yet."""
    # On Windows, asyncio's read is part of the system's, where select sees nothing of the data.
    return sys.platform == "win32" or _is_readable(transport)


def _is_readable(transport: asyncio.Transport) -> bool:
    """Check whether an idle connection has data to read: it was closed, and a busy loop may not know yet."""
    descriptor = cast("socket.socket", transport.get_extra_info("socket")).fileno()
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
