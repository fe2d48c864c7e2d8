"""Images created from media: conversions and thumbnails."""
