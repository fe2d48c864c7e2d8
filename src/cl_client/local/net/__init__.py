"""Listening sockets and their TLS, for HTTP and MQTT."""
