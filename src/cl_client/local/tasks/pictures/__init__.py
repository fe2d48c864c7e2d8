"""Pictures made from media: conversions and thumbnails."""
