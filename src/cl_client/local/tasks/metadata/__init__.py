"""Metadata: read from pictures and videos."""
