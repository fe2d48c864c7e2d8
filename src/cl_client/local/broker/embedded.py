"""The embedded MQTT broker: its port, TLS and logins. What serves its clients is a `Backend`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from cl_client.local.broker.backend import start_backend
from cl_client.local.broker.connect_packet import MQTT_5, ConnectPacket, read_connect
from cl_client.local.net.listener import TLS_GOODBYE_SECONDS

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from cl_client.local.broker.backend import Backend
    from cl_client.local.settings import BrokerChoice

logger = logging.getLogger(__name__)

_CLOSING_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 30.0
"""Limit for the first packet of a connection."""


class EmbeddedBroker:
    """A broker behind our own listening socket; all of its connections are closed when it stops.

    Args:
        listener: The bound socket to accept connections on.
        tls: Context for encrypted connections; None for plain ones.
        accepts_password: Tells whether a client may connect with a password; None to accept every client.
        choice: Which broker serves the clients.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        accepts_password: Callable[[str], bool] | None = None,
        choice: BrokerChoice = "auto",
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._accepts_password = accepts_password
        self._choice: BrokerChoice = choice
        self._backend: Backend | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def description(self) -> str:
        """What serves the clients, and the versions of MQTT."""
        return "not started" if self._backend is None else self._backend.description

    async def start(self) -> None:
        """Start to accept connections.

        Raises:
            OSError: The broker that was asked for is not installed or does not start.
        """
        self._backend = await start_backend(self._choice)
        logger.info("The embedded broker is %s", self.description)
        self._server = await asyncio.start_server(
            self._accept,
            sock=self._listener,
            ssl=self._tls,
            ssl_shutdown_timeout=None if self._tls is None else TLS_GOODBYE_SECONDS,
        )

    async def stop(self) -> None:
        """Close all connections, free the port, and end the broker."""
        if self._server is not None:
            self._server.close()
        if self._backend is not None:
            await self._backend.stop()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_CLOSING_SECONDS)
        stuck = list(self._connections)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="mqtt-connection")
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                connect = await read_connect(reader)
            refusal = self._refusal(connect)
            if refusal is not None:
                writer.write(refusal)
            elif self._backend is not None:
                await self._backend.serve(connect, reader, writer)
        except (OSError, asyncio.IncompleteReadError) as exc:  # TimeoutError among them
            logger.debug("An MQTT client disconnected: %s", exc)
        except Exception:
            logger.exception("Closing an MQTT connection after an unexpected error of the embedded broker")
        finally:
            await _hang_up(writer)

    def _refusal(self, connect: ConnectPacket) -> bytes | None:
        """Make the answer to a client that may not connect; None for one that may."""
        # Not in a backend: amqtt ends the existing session of a client id before it checks a login, and takes
        # an MQTT 5 client's properties for its client id.
        if self._backend is not None and connect.level >= MQTT_5 and not self._backend.speaks_mqtt_5:
            return connect.unsupported_version()
        if self._accepts_password is None:
            return None
        if connect.username and connect.password is not None and self._accepts_password(connect.password):
            return None
        return connect.not_authorized()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection after sending what was written, even if the peer does not respond."""
    writer.close()
    try:
        async with asyncio.timeout(_CLOSING_SECONDS):
            await writer.wait_closed()
    except OSError as exc:  # TimeoutError among them
        logger.debug("An MQTT connection was aborted: %r", exc)
    finally:
        writer.transport.abort()
