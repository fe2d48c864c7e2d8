"""Connections whose event loop was closed before they were: no coroutine can close them any more."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import httpcore


def close_socket(stream: httpcore.AsyncNetworkStream) -> None:
    """Close the socket of a connection at once."""
    from anyio.streams.tls import TLSStream

    # httpcore and anyio hand out the socket alone; it is asyncio's transport that would complain of it later.
    inner = cast("object", getattr(stream, "_stream", None))
    while isinstance(inner, TLSStream):
        inner = inner.transport_stream
    transport = cast("object", getattr(inner, "_transport", None))
    if not isinstance(transport, asyncio.Transport) or getattr(transport, "_sock", None) is None:
        return
    with contextlib.suppress(RuntimeError):  # asyncio leaves the rest to the loop, which is closed
        transport.abort()
    # What the loop would have called. One without it, such as uvloop's, has closed its sockets with itself.
    finish = cast("object", getattr(transport, "_call_connection_lost", None))
    if callable(finish):
        with contextlib.suppress(RuntimeError):
            finish(None)
