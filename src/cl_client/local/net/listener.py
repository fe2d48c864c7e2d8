"""Listening sockets, bound before the servers on them start."""

from __future__ import annotations

import os
import socket
from typing import Final, cast

TLS_GOODBYE_SECONDS: Final = 0.5
"""Limit for the TLS shutdown of a closed connection: a peer that does not read never answers it."""


def bind_listener(host: str, port: int, purpose: str) -> socket.socket:
    """Open a listening TCP socket.

    Args:
        host: The host name or address to listen on.
        port: The port; 0 for a free one.
        purpose: What it is for, in error messages.

    Returns:
        A non-blocking socket.

    Raises:
        OSError: The port is in use or not permitted, or the host was not found; the message names it.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise OSError(f"The local server's {purpose} cannot listen on {host!r}: {exc}") from exc
    # With an explicit protocol, as asyncio disables Nagle's algorithm only if it sees TCP. Otherwise every
    # answer of two writes would wait some 40 ms for the peer's delayed acknowledgement.
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
    """Return the URL at which a client on this machine reaches a listening socket.

    Args:
        scheme: The URL's scheme, such as ``http``.
        listener: The bound socket.

    Returns:
        The URL, with the loopback address if the socket listens on all addresses.
    """
    host, port = cast("tuple[str, int]", listener.getsockname()[:2])
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - only compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104 - only compared, not bound
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
