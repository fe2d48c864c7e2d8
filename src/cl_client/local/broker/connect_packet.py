"""The first packet of an MQTT connection, and the answers that refuse it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

MQTT_5: Final = 5

# MQTT 3.1.1, sections 2.2 and 3.1; MQTT 5.0, section 3.1.
_CONNECT: Final = 0x10
_MORE: Final = 0x80
_HAS_USERNAME, _HAS_PASSWORD, _HAS_WILL = 0x80, 0x40, 0x04
_LONGEST_LENGTH: Final = 4
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ConnectPacket:
    """A client's CONNECT.

    Attributes:
        raw: All of its bytes.
        level: The protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0.
        username: The user name; None for none.
        password: The password; None for none.
    """

    raw: bytes
    level: int
    username: str | None = None
    password: str | None = None

    def unsupported_version(self) -> bytes:
        """Make the answer that its version is not supported.

        Returns:
            A CONNACK in the format of its own version, so that an MQTT 5 client understands it.
        """
        return b"\x20\x03\x00\x84\x00" if self.level >= MQTT_5 else b"\x20\x02\x00\x01"

    def not_authorized(self) -> bytes:
        """Make the answer that its login is not accepted.

        Returns:
            A CONNACK in the format of its own version.
        """
        return b"\x20\x03\x00\x87\x00" if self.level >= MQTT_5 else b"\x20\x02\x00\x05"


async def read_connect(reader: asyncio.StreamReader) -> ConnectPacket:
    """Read a client's first packet.

    Args:
        reader: The client's bytes.

    Returns:
        The packet.

    Raises:
        ConnectionError: It is not a valid CONNECT.
        IncompleteReadError: The client has disconnected.
    """
    start = await reader.readexactly(2)
    while start[-1] & _MORE and len(start) <= _LONGEST_LENGTH:
        start += await reader.readexactly(1)
    size, _ = _variable_length(start[1:])
    if start[0] != _CONNECT or start[-1] & _MORE or size > _MAX_BYTES:
        raise ConnectionError(f"not a CONNECT packet: {start.hex()}")
    body = await reader.readexactly(size)
    try:
        return _parse(start + body, _Fields(body))
    except (IndexError, UnicodeDecodeError) as exc:
        raise ConnectionError(f"not a valid CONNECT packet: {exc}") from exc


def _parse(raw: bytes, fields: _Fields) -> ConnectPacket:
    fields.skip_string()  # the protocol's name
    level, flags = fields.take(2)
    fields.take(2)  # keepalive
    if level == MQTT_5:
        fields.skip_properties()
    elif level > MQTT_5:
        return ConnectPacket(raw, level)
    fields.skip_string()  # the client id
    if flags & _HAS_WILL:
        if level == MQTT_5:
            fields.skip_properties()
        fields.skip_string()
        fields.skip_string()
    username = fields.string() if flags & _HAS_USERNAME else None
    password = fields.string() if flags & _HAS_PASSWORD else None
    return ConnectPacket(raw, level, username, password)


class _Fields:
    """The fields of a packet, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def take(self, size: int) -> bytes:
        taken, self._left = self._left[:size], self._left[size:]
        if len(taken) < size:
            raise IndexError("it is too short")
        return taken

    def skip_string(self) -> bytes:
        return self.take(int.from_bytes(self.take(2)))

    def string(self) -> str:
        return self.skip_string().decode()

    def skip_properties(self) -> None:
        size, digits = _variable_length(self._left)
        self.take(digits + size)


def _variable_length(data: bytes) -> tuple[int, int]:
    """Decode a number of up to four digits of 7 bits each; return it and its digits."""
    value = 0
    for index, digit in enumerate(data[:_LONGEST_LENGTH]):
        value |= (digit & ~_MORE) << 7 * index
        if not digit & _MORE:
            return value, index + 1
    return value, _LONGEST_LENGTH
