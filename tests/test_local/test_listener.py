"""What a listening socket hands on to its connections."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from cl_client.local.net.listener import bind_listener
from patience import soon
from support import port_of


async def test_connections_do_not_wait_for_acknowledgements() -> None:
    no_delay: asyncio.Queue[int] = asyncio.Queue()

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = cast("socket.socket", writer.get_extra_info("socket"))
        no_delay.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = bind_listener("127.0.0.1", 0, "test")
    async with await asyncio.start_server(accept, sock=listener):
        with socket.create_connection(("127.0.0.1", port_of(listener))):
            assert await soon(no_delay.get()) != 0
