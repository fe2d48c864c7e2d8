"""Metadata of pictures and videos."""
