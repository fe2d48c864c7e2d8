"""amqtt in this process: MQTT 3.1.1 wherever Python runs."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar, Final

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from typing_extensions import override

if TYPE_CHECKING:
    import asyncio

    from cl_client.local.broker.connect_packet import ConnectPacket

_LISTENER: Final = "default"
_CONFIG: Final = {
    "listeners": {_LISTENER: {"type": "external"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


class AmqttBackend:
    """amqtt without a listener of its own, which would not report which free port it got."""

    speaks_mqtt_5: ClassVar[bool] = False

    def __init__(self) -> None:
        self._broker = Broker(_CONFIG)

    @property
    def description(self) -> str:
        """Its name, its version and its versions of MQTT."""
        return f"amqtt {version('amqtt')}, MQTT 3.1.1 only"

    async def start(self) -> None:
        """Start it."""
        await self._broker.start()

    async def serve(
        self, connect: ConnectPacket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve a client until the connection ends.

        Args:
            connect: The client's first packet.
            reader: What the client sends after it.
            writer: Sends to the client.
        """
        replaying = _ReplayingReader(connect.raw, reader)
        await self._broker.external_connected(replaying, StreamWriterAdapter(writer), _LISTENER)

    async def stop(self) -> None:
        """End it."""
        await self._broker.shutdown()


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
