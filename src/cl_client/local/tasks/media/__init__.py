"""Media files: type detection, and opening of pictures and videos."""
