"""Requests that do not end where they should: the server answers, and keeps nothing of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest

from cl_client.local.http.bounded_requests import MAX_HEADER_BYTES
from patience import SECONDS, soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cl_client.local import LocalServer

_GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = b"POST /jobs/hash HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_PADDING = b"a" * 60_000


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (_GET, b"X-Header: " + _PADDING + b"\r\n"),
        (_GET + b"X-Header: ", _PADDING),
        (b"GET /", _PADDING),
        (_CHUNKED + b"5;extension=", _PADDING),
        (_CHUNKED + b"3\r\nabc\r\n0\r\nX-Trailer: ", _PADDING),
        (_CHUNKED + b"3\r\nabc\r\n0\r\n", b"X-Trailer: " + _PADDING + b"\r\n"),
    ],
    ids=["headers", "a header", "a path", "a chunk extension", "a trailer", "trailers"],
)
async def test_what_has_no_end_is_refused(server: LocalServer, start: bytes, part: bytes) -> None:
    address = httpx.URL(server.base_url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    sent = 0
    writer.write(start)
    with contextlib.suppress(ConnectionError):
        while not reader.at_eof() and sent < 100 * MAX_HEADER_BYTES:
            writer.write(part)
            sent += len(part)
            await soon(writer.drain())
            await asyncio.sleep(0)
    # The rest is what the system holds between the two.
    assert sent < 40 * MAX_HEADER_BYTES
    writer.close()


async def test_headers_and_chunks_of_usual_sizes_are_accepted(server: LocalServer) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield b"a" * 256 * 1024
        for _ in range(2000):
            yield b"b"
        yield b"\r\n--b--\r\n"

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    headers = {"Content-Type": "multipart/form-data; boundary=b", "X-Long": "a" * 60_000}
    async with httpx.AsyncClient(base_url=server.base_url, timeout=SECONDS) as client:
        for _ in range(2):
            response = await client.post("/jobs/hash", content=body(), headers=headers)
            assert response.status_code == 200, response.text
