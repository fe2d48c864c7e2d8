"""An MQTT broker inside the process, for use without an external one: amqtt on its own port.

It supports MQTT 3.1.1 and refuses MQTT 5 with a proper CONNACK, as some brokers in the field do.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connect import ConnectPacket
from typing_extensions import override

from cl_client.local.net.listener import TLS_GOODBYE_SECONDS

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_LISTENER = "default"
_CONFIG = {
    "listeners": {_LISTENER: {"type": "external"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}
_CLOSING_SECONDS = 2.0

# MQTT 3.1.1, sections 2.2, 3.1.2 and 3.2.2.
_CONNECT = 0x10
_MORE_LENGTH = 0x80
_LONGEST_PROTOCOL_NAME = 6
_MQTT_5 = 5
_CONNACK_UNACCEPTABLE_PROTOCOL = b"\x20\x02\x00\x01"
_CONNACK_NOT_AUTHORIZED = b"\x20\x02\x00\x05"


class EmbeddedBroker:
    """amqtt behind our own listening socket; all of its connections are closed when it stops.

    amqtt's own listener does not report which free port it got.

    Args:
        listener: The bound socket to accept connections on.
        tls: Context for encrypted connections; None for plain ones.
        accepts_password: Tells whether a client may connect with a password; None to accept every client.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        accepts_password: Callable[[str], bool] | None = None,
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._accepts_password = accepts_password
        self._broker = Broker(_CONFIG)
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Start to accept connections."""
        await self._broker.start()
        self._server = await asyncio.start_server(
            self._accept,
            sock=self._listener,
            ssl=self._tls,
            ssl_shutdown_timeout=None if self._tls is None else TLS_GOODBYE_SECONDS,
        )

    async def stop(self) -> None:
        """Close all connections and free the port."""
        if self._server is not None:
            self._server.close()
        for writer in self._connections.values():
            writer.close()
        if self._connections:
            _, stuck = await asyncio.wait(self._connections, timeout=_CLOSING_SECONDS)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
        await self._broker.shutdown()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="mqtt-connection")
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            start, level = await _read_protocol_level(reader)
            if level == _MQTT_5:
                # amqtt reads the properties of such a CONNECT as the client id, and then waits forever for
                # the rest of it.
                writer.write(_CONNACK_UNACCEPTABLE_PROTOCOL)
                return
            if self._accepts_password is not None:
                # Not as a plugin: amqtt ends the existing session of that client id before it calls plugins.
                connect = _RecordingReader(start, reader)
                if not await _is_authorized(connect, self._accepts_password):
                    writer.write(_CONNACK_NOT_AUTHORIZED)
                    return
                start = connect.seen
            await self._broker.external_connected(
                _ReplayingReader(start, reader), StreamWriterAdapter(writer), _LISTENER
            )
        except (OSError, asyncio.IncompleteReadError) as exc:
            logger.debug("An MQTT client disconnected: %s", exc)
        except Exception:
            logger.exception("Closing an MQTT connection after an unexpected error of the embedded broker")
        finally:
            await _hang_up(writer)


class _ReplayingReader(StreamReaderAdapter):
    """A stream whose start was already read."""

    def __init__(self, start: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._start = start

    @override
    async def read(self, n: int = -1) -> bytes:
        if not self._start:
            return await super().read(n)
        taken = len(self._start) if n < 0 else n
        start, self._start = self._start[:taken], self._start[taken:]
        missing = n if n < 0 else n - len(start)
        return start + await super().read(missing) if missing else start


class _RecordingReader(_ReplayingReader):
    """Records the bytes that are read."""

    def __init__(self, start: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(start, reader)
        self.seen = b""

    @override
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.seen += data
        return data


async def _is_authorized(reader: _RecordingReader, accepts_password: Callable[[str], bool]) -> bool:
    """Read a connection's CONNECT, and tell whether it has a user name and an accepted password."""
    try:
        connect = await ConnectPacket.from_stream(reader)
    except (AMQTTError, MQTTError, NoDataError) as exc:
        raise ConnectionError(f"not a valid CONNECT packet: {exc}") from exc
    return bool(connect.username) and connect.password is not None and accepts_password(connect.password)


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


async def _read_protocol_level(reader: asyncio.StreamReader) -> tuple[bytes, int | None]:
    """Read the start of the first packet; return it and its protocol level, None if it is not a CONNECT."""
    start = await reader.readexactly(2)
    if start[0] != _CONNECT:
        return start, None
    while start[-1] & _MORE_LENGTH and len(start) < 5:  # noqa: PLR2004 - at most four bytes of length
        start += await reader.readexactly(1)
    name_length = await reader.readexactly(2)
    start += name_length
    size = int.from_bytes(name_length)
    if size > _LONGEST_PROTOCOL_NAME:
        return start, None
    start += await reader.readexactly(size + 1)
    return start, start[-1]
