"""Mosquitto as a process of its own, which only this server reaches: MQTT 3.1, 3.1.1 and 5."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar, Final

from cl_client.local.broker.mosquitto_process import MosquittoProcess
from cl_client.local.broker.splice import splice

if TYPE_CHECKING:
    from cl_client.local.broker.connect_packet import ConnectPacket

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0


class MosquittoBackend:
    """A Mosquitto that is started again if it ends.

    Args:
        program: Its path.
    """

    speaks_mqtt_5: ClassVar[bool] = True

    def __init__(self, program: str) -> None:
        self._process = MosquittoProcess(program)
        self._keeper: asyncio.Task[None] | None = None

    @property
    def description(self) -> str:
        """Its name, its version and its versions of MQTT."""
        return f"Mosquitto {self._process.version}, MQTT 3.1.1 and 5"

    async def start(self) -> None:
        """Start it, and return when it accepts connections.

        Raises:
            OSError: It did not start; the message says why.
        """
        await self._process.start()
        self._keeper = asyncio.create_task(self._keep_running(), name="mosquitto-keeper")

    async def serve(
        self, connect: ConnectPacket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve a client until the connection ends.

        Args:
            connect: The client's first packet.
            reader: What the client sends after it.
            writer: Sends to the client.
        """
        from_broker, to_broker = await self._process.connect()
        try:
            to_broker.write(connect.raw)
            await splice((reader, writer), (from_broker, to_broker))
        finally:
            to_broker.close()

    async def stop(self) -> None:
        """End it; what it had sent until then still reaches the clients."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._process.stop()

    async def _keep_running(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            words = await self._process.ended()
            logger.warning("Mosquitto, the embedded broker, has ended (%s): starting it again", words)
            await self._process.stop()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                await self._process.start()
            except OSError as exc:
                logger.warning("%s", exc)
