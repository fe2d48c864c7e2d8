"""Opening images: what Pillow opens, and what it cannot open, opens wrong, or opens only in part."""
