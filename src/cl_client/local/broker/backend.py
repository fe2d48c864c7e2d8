"""What serves the clients of the embedded broker, and its choice."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

# Its broker is imported late, but a missing extra is named early.
import amqtt  # noqa: F401 # pyright: ignore[reportUnusedImport] - see above

if TYPE_CHECKING:
    import asyncio

    from cl_client.local.broker.connect_packet import ConnectPacket
    from cl_client.local.settings import BrokerChoice

logger = logging.getLogger(__name__)

# Systems keep servers where a plain user's PATH does not look.
_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


class Backend(Protocol):
    """An MQTT broker without a port of its own. Use it on one event loop."""

    speaks_mqtt_5: ClassVar[bool]
    """Whether it accepts MQTT 5 clients."""

    @property
    def description(self) -> str:
        """Its name, its version and its versions of MQTT, for the log."""
        ...

    async def start(self) -> None:
        """Start, and return when clients can be served."""
        ...

    async def serve(
        self, connect: ConnectPacket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve a client until the connection ends. The caller closes the client's streams.

        Args:
            connect: The client's first packet.
            reader: What the client sends after it.
            writer: Sends to the client.
        """
        ...

    async def stop(self) -> None:
        """End, and with it all calls of `serve`. Idempotent."""
        ...


def find_mosquitto() -> str:
    """Find Mosquitto on this machine.

    Returns:
        Its path.

    Raises:
        FileNotFoundError: It is not installed, or this is Windows, which lacks Unix sockets.
    """
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_FOLDERS))
    if program is None or sys.platform == "win32":
        raise FileNotFoundError(
            "There is no Mosquitto in PATH or in /usr/sbin, or this is Windows: install the package "
            'mosquitto, or do without broker="mosquitto"'
        )
    return str(Path(program).absolute())


async def start_backend(choice: BrokerChoice) -> Backend:
    """Start a broker.

    Args:
        choice: Which one; "auto" for Mosquitto where it is installed and starts, and amqtt elsewhere.

    Returns:
        The broker, which has started.

    Raises:
        OSError: The broker that was asked for is not installed or does not start.
    """
    if choice == "amqtt":
        return await _start_amqtt()
    try:
        return await _start_mosquitto(find_mosquitto())
    except OSError as exc:
        if choice == "mosquitto":
            raise
        is_missing = isinstance(exc, FileNotFoundError)
        logger.log(
            logging.DEBUG if is_missing else logging.WARNING,
            "%s. The embedded broker is amqtt instead, without MQTT 5",
            exc,
        )
    return await _start_amqtt()


async def _start_mosquitto(program: str) -> Backend:
    from cl_client.local.broker.mosquitto_backend import MosquittoBackend

    backend = MosquittoBackend(program)
    await backend.start()
    return backend


async def _start_amqtt() -> Backend:
    from cl_client.local.broker.amqtt_backend import AmqttBackend

    backend = AmqttBackend()
    await backend.start()
    return backend
