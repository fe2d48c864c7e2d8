"""What can go wrong with one HTTP request: faults for `FaultProxy.plan`."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from typing import TYPE_CHECKING, cast

from cl_client.testing.exchange import Exchange, HangUp

if TYPE_CHECKING:
    from cl_client.testing.exchange import Fault

_CONTENT_LENGTH = re.compile(rb"(\r\ncontent-length: *)(\d+)", re.IGNORECASE)
_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


def http_response(status: str, body: bytes | str = "", headers: str = "") -> bytes:
    r"""Make the bytes of a response that ends its connection.

    Args:
        status: Code and reason, such as ``"503 Service Unavailable"``.
        body: The content; a text is sent as UTF-8.
        headers: More headers, each ended by ``"\r\n"``. Length and ``Connection: close`` are there already.

    Returns:
        The whole response.
    """
    content = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


async def pass_on(exchange: Exchange) -> None:
    """Do nothing wrong: pass the request to the server, and its response to the client.

    Args:
        exchange: The request.
    """
    await exchange.send(await exchange.response())


async def trickle(exchange: Exchange) -> None:
    """Send the response byte by byte.

    Args:
        exchange: The request.
    """
    for byte in await exchange.response():
        await exchange.send(bytes([byte]))
        await asyncio.sleep(0)  # else several would go together


def cut(after: int) -> Fault:
    """Close the connection within the response.

    Args:
        after: Bytes of the response that are still sent, counted from its status line; 0 for none.

    Returns:
        The fault.

    Raises:
        ValueError: ``after`` is negative.
    """
    _check_after(after)

    async def fault(exchange: Exchange) -> None:
        await exchange.send((await exchange.response())[:after])
        raise HangUp

    return fault


class Stall:
    """Stop within the response; send the rest of it when `release` is called.

    Args:
        after: Bytes of the response that are sent before, counted from its status line; 0 for none.

    Raises:
        ValueError: ``after`` is negative.
    """

    def __init__(self, after: int) -> None:
        _check_after(after)
        self._after = after
        self._stalled = self._released = False
        self._waiting: set[asyncio.Future[None]] = set()

    async def __call__(self, exchange: Exchange) -> None:
        """Deal with a request.

        Args:
            exchange: The request.
        """
        response = await exchange.response()
        await exchange.send(response[: self._after])
        self._stalled = True
        self._tell()
        while not self._released:
            await self._news()
        await exchange.send(response[self._after :])

    async def reached(self) -> None:
        """Wait until a response has stopped. Wrap it in `asyncio.timeout`."""
        while not self._stalled:
            await self._news()

    def release(self) -> None:
        """Send the rest of all responses that have stopped, and stop no more of them."""
        self._released = True
        self._tell()

    async def _news(self) -> None:
        # No event, as one fault may serve several event loops: those of parametrized tests.
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def _tell(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


def misstate_length(by: int) -> Fault:
    """Announce another length than the body has, and send the body as it is.

    Args:
        by: Bytes to add to ``Content-Length``. Above 0 the connection is closed after the body.

    Returns:
        The fault.
    """

    async def fault(exchange: Exchange) -> None:
        response = await exchange.response()
        await exchange.send(
            _CONTENT_LENGTH.sub(lambda found: b"%s%d" % (found[1], int(found[2]) + by), response, count=1)
        )
        if by > 0:
            raise HangUp

    return fault


def reply(response: bytes) -> Fault:
    """Receive the whole request, and respond instead of the server, which does not see it.

    Args:
        response: The response; see `http_response`.

    Returns:
        The fault.
    """

    async def fault(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.send(response)
        if b"\r\nconnection: close\r\n" in response.lower():
            raise HangUp

    return fault


def refuse(response: bytes) -> Fault:
    """Respond at once, and close the connection without reading the body of the request.

    Args:
        response: The response; see `http_response`.

    Returns:
        The fault.
    """

    async def fault(exchange: Exchange) -> None:
        await exchange.send(response)
        raise HangUp

    return fault


def reset(after: int) -> Fault:
    """Reset the connection (TCP RST) within the request.

    Args:
        after: Bytes of the request's body that are received before.

    Returns:
        The fault.

    Raises:
        ValueError: ``after`` is negative.
    """
    _check_after(after)

    async def fault(exchange: Exchange) -> None:
        await exchange.reader.readexactly(after)
        connection = cast("socket.socket", exchange.writer.get_extra_info("socket"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        raise HangUp

    return fault


def _check_after(after: int) -> None:
    if after < 0:
        raise ValueError(f"after is {after}; it is a number of bytes, at least 0")
