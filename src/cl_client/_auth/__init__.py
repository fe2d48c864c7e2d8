"""Logging in: providers, the auth service, renewal, kept tokens."""
