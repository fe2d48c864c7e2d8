"""MQTT: the embedded broker, and the server's publisher."""
