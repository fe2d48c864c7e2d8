"""One request: service, errors, retries, transport, TLS."""
