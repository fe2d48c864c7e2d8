"""Ranks photos by similarity to a photo."""
