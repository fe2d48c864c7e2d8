"""Pictures created from media: conversions and thumbnails."""
