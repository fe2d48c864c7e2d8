"""Options, states and messages of an MQTT connection."""

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
    """A received message."""

    topic: str
    payload: bytes
    retain: bool


class ConnectionState(StrEnum):
    """State of the connection."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    """Connected, and the broker has acknowledged every subscription."""
    DISCONNECTED = "disconnected"
    REFUSED = "refused"
    """The broker has refused the credentials; retried only after a long pause."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Options of a connection; times are in seconds.

    Attributes:
        keepalive: Silence after which the broker is pinged. Without an answer for the same time again, the
            connection is lost; until then, push is still considered live.
        connect_timeout: Time limit for TCP and TLS, and again for the broker's CONNACK and SUBACK.
        reconnect_min: First pause before reconnecting; it doubles each time, minus a jitter of up to half.
        reconnect_max: Maximum pause before reconnecting.
        refused_pause: Pause after the broker has refused the credentials.
        session_expiry: How long an MQTT 5 broker keeps messages for a disconnected client.
        max_packet_size: Maximum bytes of a message that an MQTT 5 broker sends; paho itself has no limit.
        queue_limit: Maximum number of messages that wait for the event loop; more are dropped.
        credentials: Returns user name and password if the address has none. Called in the connection's thread
            for each connection, so that it can return a new token. May block, and may raise a
            `ComputeClientError`.
        make_ssl_context: Creates the TLS context for ``mqtts`` and ``wss``; called in the connection's
            thread, since it reads files.
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
        """Get the credentials for a broker.

        Args:
            address: Address of the broker; its own credentials take precedence over those of the options.

        Returns:
            User name and password; None if there are none.
        """
        if address.username is None:
            return self.credentials()
        return MQTTCredentials(address.username, address.password or SecretStr(""))
