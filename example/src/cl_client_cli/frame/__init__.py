"""The frame that every command runs in."""
