"""Opening images: what Pillow cannot open, opens wrong, or opens only in part."""
