"""Conversion of videos to HTTP Live Streaming (HLS)."""
