"""Refusals as proxies in front of the service send them: before they have, or want, the whole upload."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from typing import TYPE_CHECKING, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from cl_client import ComputeClient, ComputeClientConfig, InvalidRequestError, ServerBusyError
from cl_client.options import UploadStream
from patience import SECONDS
from support import TLSFiles, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]]

JOB = b'{"job_id": "j", "task_type": "hash", "status": "queued"}'
LARGER_THAN_ANY_WINDOW = bytes(8 * 1024**2)


@contextlib.asynccontextmanager
async def client_of(
    serve: Serve, context: ssl.SSLContext | None = None, **settings: object
) -> AsyncGenerator[ComputeClient]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    address = f"{'http' if context is None else 'https'}://127.0.0.1:{port_of(server.sockets[0])}"
    config = ComputeClientConfig.create(base_url=address, mqtt_broker="off", trust_env=False, **settings)
    async with server, ComputeClient(config=config) as client:
        yield client


async def two_pieces() -> AsyncGenerator[bytes]:
    """A small file, of which some comes after the server's answer, as from a disk that takes its time."""
    for _ in range(2):
        await asyncio.sleep(0.05)
        yield b"small"


async def test_a_small_upload_that_is_refused_on_its_head() -> None:
    """As squid does for a server that is gone: it answers to the head, and resets what comes after."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ngone")
        await writer.drain()
        connection = cast("socket.socket", writer.get_extra_info("socket"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async with client_of(refuse) as client:
        with pytest.raises(ServerBusyError, match="503"):
            await client.hash.compute(UploadStream(two_pieces, "small.txt", 10))


@contextlib.asynccontextmanager
async def client_of_both_versions(
    over_http2: Serve, status: str, body: bytes, tls: TLSFiles, **settings: object
) -> AsyncGenerator[ComputeClient]:
    """A client of a server that speaks both: which one is used is not tested."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = cast("ssl.SSLObject", writer.get_extra_info("ssl_object"))
        if connection.selected_alpn_protocol() == "h2":
            await over_http2(reader, writer)
            return
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert found is not None
        await reader.readexactly(int(found[1]))
        answer = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(answer.encode() + body)
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.server_cert, tls.server_key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with client_of(serve, context, http2=True, ca_file=tls.ca, **settings) as client:
        yield client


class RefusingOverHTTP2:
    """Answers 413 to the head of each request, and takes nothing of its body.

    Args:
        reset: Whether it also ends the stream with ``RST_STREAM``, code ``NO_ERROR`` (RFC 9113, 8.1), as Go's
            and HAProxy's servers do. nginx leaves the stream open, and widens no window any more.
    """

    def __init__(self, *, reset: bool) -> None:
        self._reset = reset

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        writer.write(state.data_to_send())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self._refuse(state, event.stream_id)
                writer.write(state.data_to_send())
                await writer.drain()
        writer.close()

    def _refuse(self, state: h2.connection.H2Connection, stream_id: int | None) -> None:
        assert stream_id is not None
        state.send_headers(stream_id, [(":status", "413"), ("content-length", "9")])
        state.send_data(stream_id, b"too large", end_stream=True)
        if self._reset:
            state.reset_stream(stream_id, h2.errors.ErrorCodes.NO_ERROR)


@pytest.mark.parametrize("reset", [False, True], ids=["open", "reset"])
async def test_a_large_upload_that_is_refused_over_http2(tls_files: TLSFiles, *, reset: bool) -> None:
    server = RefusingOverHTTP2(reset=reset)
    refusal = ("413 Content Too Large", b"too large")
    async with client_of_both_versions(server.serve, *refusal, tls_files, timeout=SECONDS) as client:
        for _ in range(3):
            with pytest.raises(InvalidRequestError, match="413"):
                await client.hash.compute(LARGER_THAN_ANY_WINDOW)


class EndingOverHTTP2:
    """Takes three requests a connection: to the head of the third comes GOAWAY, and then its answer.

    As nginx does after ``keepalive_requests``, by default every 1,000 requests (RFC 9113, 6.8).
    """

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        writer.write(state.data_to_send())
        heads, answers = 0, 0
        with contextlib.suppress(ConnectionError):
            while answers < 3 and (data := await reader.read(65536)):
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        heads += 1
                        if heads == 3:
                            assert event.stream_id is not None
                            writer.write(state.data_to_send() + _goaway(event.stream_id))
                    elif isinstance(event, h2.events.DataReceived):
                        assert event.stream_id is not None
                        state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        assert event.stream_id is not None
                        answers += 1
                        state.send_headers(event.stream_id, [(":status", "200")])
                        state.send_data(event.stream_id, JOB, end_stream=True)
                writer.write(state.data_to_send())
                await writer.drain()
        writer.close()


def _goaway(last_stream_id: int) -> bytes:
    """The frame as such: h2 would take no part in what follows it."""
    return b"\x00\x00\x08\x07\x00" + bytes(4) + last_stream_id.to_bytes(4, "big") + bytes(4)


async def test_uploads_over_connections_that_a_proxy_ends_in_order(tls_files: TLSFiles) -> None:
    async with client_of_both_versions(EndingOverHTTP2().serve, "200 OK", JOB, tls_files) as client:
        for _ in range(7):
            assert (await client.hash.compute(bytes(200_000))).job_id == "j"


async def test_reads_over_connections_that_a_proxy_ends_in_order(tls_files: TLSFiles) -> None:
    """Given up alike, and asked for again."""
    async with client_of_both_versions(EndingOverHTTP2().serve, "200 OK", JOB, tls_files) as client:
        for _ in range(7):
            assert (await client.get_job("j")).job_id == "j"
