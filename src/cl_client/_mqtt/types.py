"""What an MQTT connection is told, and what it tells: its options, its states and its messages."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from cl_client._mqtt.address import MQTTCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client._mqtt.address import BrokerAddress


class MQTTMessage(NamedTuple):
    """A message as it came."""

    topic: str
    payload: bytes
    retain: bool


class ConnectionState(StrEnum):
    """What the connection is doing."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    """Connected, and every subscription is acknowledged by the broker."""
    DISCONNECTED = "disconnected"
    REFUSED = "refused"
    """The broker does not accept these credentials; tried again at a very slow pace."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to connect; times in seconds.

    Attributes:
        keepalive: Longest silence before the broker is asked for a sign of life; one that does not give it in
            as long a time again is lost. So long at most is push believed in vain.
        connect_timeout: For TCP and TLS, and again for the broker's CONNACK and SUBACK.
        reconnect_min: The first pause before connecting again; it doubles, with jitter of up to half.
        reconnect_max: The longest such pause.
        refused_pause: The pause after the broker refused the credentials.
        session_expiry: How long an MQTT 5 broker keeps messages for a client that is away.
        max_packet_size: Bytes above which an MQTT 5 broker keeps a message to itself; paho would take any
            number of them into memory.
        queue_limit: Messages that may wait for the loop; above it see `MQTTConnection`.
        credentials: User name and password, where the address has none; called in the connection's thread
            for each connection, so that a token can be a new one. May block and may raise what this
            library raises.
        make_ssl_context: For ``mqtts`` and ``wss``; called in the connection's thread, as it reads files.
    """

    keepalive: int = 15
    connect_timeout: float = 5.0
    reconnect_min: float = 0.25
    reconnect_max: float = 30.0
    refused_pause: float = 300.0
    session_expiry: int = 300
    max_packet_size: int = 128 * 1024
    queue_limit: int = 20_000
    credentials: Callable[[], MQTTCredentials | None] = lambda: None
    make_ssl_context: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def credentials_for(self, address: BrokerAddress) -> MQTTCredentials | None:
        """Those of the address, or else those of these options."""
        if address.username is None:
            return self.credentials()
        return MQTTCredentials(address.username, address.password or SecretStr(""))
