"""Passes the bytes of two connections on to each other."""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK: Final = 64 * 1024


async def splice(one: Streams, other: Streams) -> None:
    """Pass everything on, until either connection ends. Neither is closed; what was read is written.

    Args:
        one: A connection.
        other: The other one.

    Raises:
        OSError: A connection broke.
    """
    both = [
        asyncio.create_task(_pass_on(one[0], other[1])),
        asyncio.create_task(_pass_on(other[0], one[1])),
    ]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
