"""Listening sockets, bound before anything is started on them."""

from __future__ import annotations

import os
import socket
from typing import Final, cast

TLS_GOODBYE_SECONDS: Final = 0.5
"""With TLS a closed connection is open until the other end has answered; who does not look never does."""


def bind_listener(host: str, port: int, purpose: str) -> socket.socket:
    """A listening TCP socket; port 0 for a free one.

    Raises:
        OSError: The port is taken or not allowed, or there is no such host; the message names it.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise OSError(f"The local server's {purpose} cannot listen on {host!r}: {exc}") from exc
    # With the protocol named, as asyncio switches Nagle's algorithm off only where it sees TCP: with it on,
    # every answer of two writes would wait some 40 ms for the peer's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows the option lets two servers share one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as exc:
        listener.close()
        reason = exc.strerror or str(exc)
        message = f"The local server's {purpose} cannot listen on {host} port {port}: {reason}"
        raise OSError(exc.errno, message) from exc
    listener.settimeout(0)
    return listener


def url_of(scheme: str, listener: socket.socket) -> str:
    """Where a client on this machine reaches a listening socket."""
    host, port = cast("tuple[str, int]", listener.getsockname()[:2])
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - recognised, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104 - recognised, not bound
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
