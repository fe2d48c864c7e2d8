"""MQTT: the embedded broker, and what a server publishes."""
