"""The task `hash`: pixels of images, key frames of videos, bytes of other files."""
