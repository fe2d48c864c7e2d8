"""Listening sockets and TLS, for HTTP and MQTT."""
