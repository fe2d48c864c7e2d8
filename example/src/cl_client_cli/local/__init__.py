"""The local server and its models."""
