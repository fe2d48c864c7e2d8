"""What is written in one turn of the loop is sent at once, in order and whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client.local.net.joining_transport import JoiningTransport
from support import port_of

if TYPE_CHECKING:
    from collections.abc import Callable


class _Writing(asyncio.Protocol):
    """Writes when it is connected, through the transport, and closes it."""

    def __init__(self, write: Callable[[asyncio.Transport], None]) -> None:
        self._write = write

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        joining = JoiningTransport(transport)
        assert joining.get_extra_info("sockname") == transport.get_extra_info("sockname")
        self._write(joining)
        joining.close()
        assert joining.is_closing()


class _Reading(asyncio.Protocol):
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = asyncio.Event()

    @override
    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def _received(write: Callable[[asyncio.Transport], None]) -> list[bytes]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Writing(write), "127.0.0.1", 0)
    async with server:
        _, reading = await loop.create_connection(_Reading, "127.0.0.1", port_of(server.sockets[0]))
        await reading.ended.wait()
    return reading.pieces


async def test_small_writes_are_one_piece() -> None:
    def write(transport: asyncio.Transport) -> None:
        for part in (b"head", b"er", b"", b" and body"):
            transport.write(part)

    assert await _received(write) == [b"header and body"]


@pytest.mark.parametrize("large", [16 * 1024, 300_000])
async def test_large_writes_keep_the_order(large: int) -> None:
    def write(transport: asyncio.Transport) -> None:
        for part in (b"small", b"x" * large, b"small again", b"y" * large, b"end"):
            transport.write(part)

    assert (
        b"".join(await _received(write)) == b"small" + b"x" * large + b"small again" + b"y" * large + b"end"
    )


async def test_nothing_is_sent_after_an_abort() -> None:
    def write(transport: asyncio.Transport) -> None:
        transport.write(b"never")
        transport.abort()

    assert await _received(write) == []
