"""Creates and connects paho's client for a broker and a protocol version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cl_client._core.certificates import SelfClosingSSLSocket
from cl_client._mqtt.batch_client import BatchClient

if TYPE_CHECKING:
    from cl_client._mqtt.address import BrokerAddress
    from cl_client._mqtt.types import ConnectionOptions


def new_client(
    client_id: str, version: MQTTProtocolVersion, address: BrokerAddress, options: ConnectionOptions
) -> BatchClient:
    """Create a paho client without callbacks, which is not connected yet.

    Args:
        client_id: MQTT client id.
        version: Protocol version.
        address: Address of the broker.
        options: Time limits and TLS context.

    Returns:
        The client.
    """
    client = BatchClient(client_id, version, websocket=address.websocket)
    client.connect_timeout = options.connect_timeout
    if address.tls:
        context = options.make_ssl_context()
        context.sslsocket_class = SelfClosingSSLSocket
        client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType] - paho leaves the context untyped
    if address.websocket:
        client.ws_set_options(path=address.target)
    return client


def connect(client: paho.Client, address: BrokerAddress, options: ConnectionOptions) -> None:
    """Connect or reconnect; blocks until the connection is open.

    Args:
        client: The paho client.
        address: Address of the broker.
        options: Keepalive, session expiry and maximum packet size.
    """
    if client.host:
        client.reconnect()
        return
    if client.protocol != MQTTProtocolVersion.MQTTv5:
        client.connect(address.host, address.port, options.keepalive)
        return
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = options.session_expiry
    properties.MaximumPacketSize = options.max_packet_size
    client.connect(
        address.host,
        address.port,
        options.keepalive,
        clean_start=paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=properties,
    )


def end_session(client: paho.Client) -> None:
    """Disconnect, and end the session at the broker.

    Args:
        client: The paho client.
    """
    if client.protocol != MQTTProtocolVersion.MQTTv5:
        client.disconnect()
        return
    properties = Properties(PacketTypes.DISCONNECT)
    properties.SessionExpiryInterval = 0
    client.disconnect(properties=properties)
