"""HTTP requests: service, errors, retries, transport, TLS."""
