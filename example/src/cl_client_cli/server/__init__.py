"""Commands about a server, its workers and its users."""
