"""Videos: HTTP Live Streaming."""
