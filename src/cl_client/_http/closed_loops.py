"""Connections that no coroutine can close: their loop was closed before, or nobody has them any more."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import httpcore


def close_socket(stream: httpcore.AsyncNetworkStream) -> None:
    """Close the socket of a connection at once, when its loop is closed."""
    transport = _transport_of(stream)
    if transport is None or getattr(transport, "_sock", None) is None:
        return
    with contextlib.suppress(RuntimeError):  # asyncio leaves the rest to the loop, which is closed
        transport.abort()
    # What the loop would have called. One without it, such as uvloop's, has closed its sockets with itself.
    finish = cast("object", getattr(transport, "_call_connection_lost", None))
    if callable(finish):
        with contextlib.suppress(RuntimeError):
            finish(None)


def abort(stream: httpcore.AsyncNetworkStream, loop: asyncio.AbstractEventLoop) -> None:
    """Have a connection closed by its loop; may be called in any thread."""
    transport = _transport_of(stream)
    if transport is not None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(transport.abort)


def _transport_of(stream: httpcore.AsyncNetworkStream) -> asyncio.Transport | None:
    from anyio.streams.tls import TLSStream

    # httpcore and anyio hand out the socket alone; it is asyncio's transport that would complain of it later.
    inner = cast("object", getattr(stream, "_stream", None))
    while isinstance(inner, TLSStream):
        inner = inner.transport_stream
    transport = cast("object", getattr(inner, "_transport", None))
    return transport if isinstance(transport, asyncio.Transport) else None
