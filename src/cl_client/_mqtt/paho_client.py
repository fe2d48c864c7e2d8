"""paho's client: made for a broker and a version of the protocol, and connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cl_client._core.certificates import SelfClosingSSLSocket

if TYPE_CHECKING:
    from cl_client._mqtt.address import BrokerAddress
    from cl_client._mqtt.types import ConnectionOptions


def new_client(
    client_id: str, version: MQTTProtocolVersion, address: BrokerAddress, options: ConnectionOptions
) -> paho.Client:
    """A client without callbacks, not connected yet."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=version,
        transport="websockets" if address.websocket else "tcp",
    )
    client.connect_timeout = options.connect_timeout
    if address.tls:
        context = options.make_ssl_context()
        context.sslsocket_class = SelfClosingSSLSocket
        client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType] - paho leaves the context untyped
    if address.websocket:
        client.ws_set_options(path=address.target)
    # With this hook set, paho never writes to the socket on the caller's thread.
    client.on_socket_register_write = _leave_writing_to_the_thread
    return client


def connect(client: paho.Client, address: BrokerAddress, options: ConnectionOptions) -> None:
    """Connect, or connect again; blocks until the connection is open."""
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
    """Disconnect for good: the broker is to keep nothing for a client that will not come back."""
    if client.protocol != MQTTProtocolVersion.MQTTv5:
        client.disconnect()
        return
    properties = Properties(PacketTypes.DISCONNECT)
    properties.SessionExpiryInterval = 0
    client.disconnect(properties=properties)


def _leave_writing_to_the_thread(_client: paho.Client, _userdata: object, _socket: object) -> None:
    """Do nothing: the network thread sees for itself that there is something to write."""
