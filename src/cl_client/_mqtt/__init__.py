"""The MQTT connection: address, connection, inbox, protocol version, credentials."""
