"""Where an HTTP/1.1 message ends: h11 says so, and the bytes stay as they came."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import h11

_CHUNK_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 64 * 1024


class Body(NamedTuple):
    """What follows the head of a message.

    Attributes:
        wire: The body as it stands on the wire, chunk sizes included.
        keep_alive: Whether another message may follow on the connection.
    """

    wire: bytes
    keep_alive: bool


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """Read the first line and the headers of a message.

    Args:
        reader: A connection at the beginning of a message.

    Returns:
        All bytes up to the empty line and with it.

    Raises:
        asyncio.IncompleteReadError: The connection ended before.
        ConnectionError: The head is longer than 64 KiB.
    """
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as exc:
        raise ConnectionError("the head of an HTTP message is longer than 64 KiB") from exc


async def read_request_body(head: bytes, reader: asyncio.StreamReader) -> Body:
    """Read what follows the head of a request.

    Args:
        head: The bytes of the head.
        reader: The connection, read up to the end of the head.

    Returns:
        The body.

    Raises:
        ConnectionError: The connection ended within the body, or this is not HTTP.
    """
    return await _read_body(_server_side(), head, reader)


async def read_response_body(head: bytes, reader: asyncio.StreamReader, method: str) -> Body:
    """Read what follows the head of a response.

    Args:
        head: The bytes of the head.
        reader: The connection, read up to the end of the head.
        method: The method of the request; a response to ``HEAD`` has no body, whatever its length.

    Returns:
        The body.

    Raises:
        ConnectionError: The connection ended within the body, or this is not HTTP.
    """
    return await _read_body(_client_side(method), head, reader)


def parse_request(message: bytes) -> tuple[h11.Request, bytes]:
    """Take a complete request apart.

    Args:
        message: Its head and body as they stood on the wire.

    Returns:
        Method, target and headers; the content without chunk sizes.

    Raises:
        ConnectionError: It is incomplete, or not HTTP.
    """
    head, content = _parse(_server_side(), message)
    if not isinstance(head, h11.Request):
        raise ConnectionError("not an HTTP request")
    return head, content


def parse_response(message: bytes, method: str) -> tuple[h11.Response, bytes]:
    """Take a complete response apart.

    Args:
        message: Its head and body as they stood on the wire.
        method: The method of the request.

    Returns:
        Status and headers; the content without chunk sizes, still compressed if it was.

    Raises:
        ConnectionError: It is incomplete, or not HTTP.
    """
    head, content = _parse(_client_side(method), message)
    if not isinstance(head, h11.Response):
        raise ConnectionError("not an HTTP response")
    return head, content


def _server_side() -> h11.Connection:
    return h11.Connection(h11.SERVER, _MAX_HEAD_BYTES)


def _client_side(method: str) -> h11.Connection:
    connection = h11.Connection(h11.CLIENT, _MAX_HEAD_BYTES)
    _ = connection.send(h11.Request(method=method, target="/", headers=[("Host", "server")]))
    _ = connection.send(h11.EndOfMessage())
    return connection


def _parse(connection: h11.Connection, message: bytes) -> tuple[h11.Event | None, bytes]:
    connection.receive_data(message)
    head: h11.Event | None = None
    content = bytearray()
    while not isinstance(event := _next_event(connection), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            content += event.data
        elif event is h11.NEED_DATA:
            connection.receive_data(b"")
        elif isinstance(event, h11.Request | h11.Response):
            head = event
    return head, bytes(content)


async def _read_body(connection: h11.Connection, head: bytes, reader: asyncio.StreamReader) -> Body:
    body, closed = bytearray(), False
    connection.receive_data(head)
    while not isinstance(event := _next_event(connection), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK_BYTES)
            connection.receive_data(data)
            body += data
            closed = not data
    return Body(bytes(body), keep_alive=connection.their_state is h11.DONE and not closed)


def _next_event(connection: h11.Connection) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as exc:
        raise ConnectionError(f"not a complete HTTP message: {exc}") from exc
