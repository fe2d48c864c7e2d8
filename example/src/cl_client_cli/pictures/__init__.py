"""Reads images upright, and draws on them."""
