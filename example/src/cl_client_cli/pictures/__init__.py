"""Reads pictures upright, and draws on them."""
