"""A server that refuses an upload before it has read it: its words reach the caller, not a broken pipe."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import TYPE_CHECKING, cast

import pytest

from cl_client import (
    AuthenticationError,
    ComputeClient,
    ComputeClientConfig,
    HTTPError,
    InvalidRequestError,
    ServerUnavailableError,
)
from cl_client.options import UploadStream
from patience import soon
from support import TLSFiles, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

UPLOAD_BYTES = 64 * 1024**2
JOB = b'HTTP/1.1 200 OK\r\nContent-Length: 52\r\n\r\n{"job_id": "j", "task_type": "t", "status":"queued"}'


class Refusing:
    """Answers as soon as it has the head of a request, and hangs up hard, with the body unread."""

    def __init__(self, status: str, detail: str, *, interim: bytes = b"") -> None:
        body = f'{{"detail": "{detail}"}}'
        self._answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        self._interim = interim
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        if self._interim:
            writer.write(self._interim)
            await writer.drain()
            await reader.readexactly(UPLOAD_BYTES // 2)
        writer.write(self._answer)
        await writer.drain()
        # Closing with a reset: what the client sends from now on meets a broken connection.
        connection = cast("socket.socket", writer.get_extra_info("socket"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    @contextlib.asynccontextmanager
    async def client(self, tls: TLSFiles | None = None, **settings: object) -> AsyncGenerator[ComputeClient]:
        context = None
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.server_cert, tls.server_key)
            settings["ca_file"] = tls.ca
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        scheme = "http" if tls is None else "https"
        address = f"{scheme}://127.0.0.1:{port_of(server.sockets[0])}"
        config = ComputeClientConfig.create(base_url=address, mqtt_broker="off", trust_env=False, **settings)
        async with server, ComputeClient(config=config) as client:
            yield client


def endless(sent: list[int]) -> UploadStream:
    """More than any socket's buffers take, and a count of what was asked for."""

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(UPLOAD_BYTES // 2**18):
            sent[0] += 2**18
            yield bytes(2**18)

    return UploadStream(chunks, "big.bin", UPLOAD_BYTES)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("413 Content Too Large", InvalidRequestError, "at most 5 bytes"),
        ("401 Unauthorized", AuthenticationError, "token has expired"),
        ("422 Unprocessable", InvalidRequestError, "no such format"),
    ],
)
@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
async def test_an_early_refusal(
    tls_files: TLSFiles, status: str, error: type[HTTPError], words: str, *, encrypted: bool
) -> None:
    server = Refusing(status, words)
    async with server.client(tls_files if encrypted else None) as client:
        for _ in range(10):
            sent = [0]
            with pytest.raises(error, match=words):
                await client.hash.compute(endless(sent))
            assert 0 < sent[0] < UPLOAD_BYTES
    assert server.requests == 10


async def test_an_interim_answer_is_no_refusal() -> None:
    server = Refusing("413 Content Too Large", "half was enough", interim=b"HTTP/1.1 102 Processing\r\n\r\n")
    sent = [0]
    async with server.client() as client:
        with pytest.raises(InvalidRequestError, match="half was enough"):
            await client.hash.compute(endless(sent))
    assert UPLOAD_BYTES // 2 <= sent[0] < UPLOAD_BYTES


async def test_a_connection_that_breaks_without_an_answer() -> None:
    class Silent(Refusing):
        def __init__(self) -> None:
            super().__init__("", "")
            self._answer = b""

    server = Silent()
    async with server.client() as client:
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await client.hash.compute(endless([0]))
    assert server.requests == 1  # whether it was taken is unknown, and so it is not sent twice


async def test_a_cancelled_upload() -> None:
    taken, cancelled = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2**20)
        taken.set()
        await cancelled.wait()  # nobody reads: the upload is held up in the middle
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{port_of(server.sockets[0])}"
    async with server, ComputeClient(address, mqtt_broker="off") as client:
        upload = asyncio.ensure_future(client.hash.compute(endless([0])))
        await soon(taken.wait())
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        cancelled.set()
