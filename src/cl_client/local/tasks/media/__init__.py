"""Media files: type detection, and opening of images and videos."""
