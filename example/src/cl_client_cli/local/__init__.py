"""A server of one's own, and its models."""
