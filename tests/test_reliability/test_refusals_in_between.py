"""Refusals as proxies in front of the service send them: before they have, or want, the whole upload."""

from __future__ import annotations

import asyncio
import contextlib
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
from support import TLSFiles, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]]

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


@pytest.mark.xfail(strict=True, reason="what is shorter than 16 KiB is sent without listening for an answer")
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


class RefusingOverHTTP2:
    """Answers 413 to the head of each request, and takes nothing of its body.

    Args:
        reset: Whether it also ends the stream with ``RST_STREAM``, code ``NO_ERROR`` (RFC 9113, 8.1), as Go's
            and HAProxy's servers do. nginx leaves the stream open, and widens no window any more.
    """

    def __init__(self, *, reset: bool) -> None:
        self._reset = reset
        self.requests = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
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
        self.requests += 1
        state.send_headers(stream_id, [(":status", "413"), ("content-length", "9")])
        state.send_data(stream_id, b"too large", end_stream=True)
        if self._reset:
            state.reset_stream(stream_id, h2.errors.ErrorCodes.NO_ERROR)


@pytest.mark.xfail(strict=True, reason="httpcore waits for a window, and not for the answer, while it sends")
@pytest.mark.parametrize("reset", [False, True], ids=["open", "reset"])
async def test_a_large_upload_that_is_refused_over_http2(tls_files: TLSFiles, *, reset: bool) -> None:
    server = RefusingOverHTTP2(reset=reset)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls_files.server_cert, tls_files.server_key)
    context.set_alpn_protocols(["h2"])
    async with client_of(server.serve, context, http2=True, ca_file=tls_files.ca, timeout=2) as client:
        for _ in range(3):
            with pytest.raises(InvalidRequestError, match="413"):
                await client.hash.compute(LARGER_THAN_ANY_WINDOW)
    assert server.requests == 3
