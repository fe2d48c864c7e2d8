"""One broker: address, connection, inbox, choice of protocol, credentials."""
