"""A TCP proxy in front of an MQTT broker, which cuts connections when a test says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from cl_client._mqtt.address import BrokerAddress
from cl_client.testing.connections import ConnectionServer, closing

if TYPE_CHECKING:
    from typing import Self

_CHUNK_BYTES = 64 * 1024


class BrokerProxy:
    """Passes connections on to a broker, until they are cut.

    Args:
        mqtt_url: The broker, such as ``mqtt://127.0.0.1:1883``. TLS passes through.
    """

    def __init__(self, mqtt_url: str) -> None:
        self.mqtt_broker = mqtt_url
        self._listener = ConnectionServer(self._serve)
        self._is_cut = False

    async def __aenter__(self) -> Self:
        await self._listener.start()
        return self

    async def __aexit__(self, *_args: object) -> None:
        await self._listener.close()

    @property
    def mqtt_url(self) -> str:
        """Where it listens, with the broker's user name, password and path.

        Raises:
            RuntimeError: It was not started.
        """
        broker, login = self._broker, ""
        if broker.username is not None:
            password = "" if broker.password is None else broker.password.get_secret_value()
            login = f"{quote(broker.username, safe='')}:{quote(password, safe='')}@"
        path = broker.target if broker.websocket else ""
        return f"{broker.scheme}://{login}127.0.0.1:{self._listener.port}{path}"

    async def cut(self) -> None:
        """Close all connections, and each new one at once, as if the broker was away."""
        self._is_cut = True
        await self._listener.cut()

    def restore(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    @property
    def _broker(self) -> BrokerAddress:
        return BrokerAddress.parse(self.mqtt_broker)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            return
        try:
            broker_reader, broker_writer = await asyncio.open_connection(self._broker.host, self._broker.port)
        except OSError:
            return  # to the client as to one of the broker's own: the connection breaks
        async with closing(broker_writer), asyncio.TaskGroup() as both:
            up = both.create_task(_copy(reader, broker_writer))
            down = both.create_task(_copy(broker_reader, writer))
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            down.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        return  # which ends the other direction, too
