"""Conversion of images to other formats, with what the copy keeps of their metadata."""
