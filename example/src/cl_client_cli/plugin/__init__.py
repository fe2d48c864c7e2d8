"""Packages with tasks of their own: a new one from the template, and the installed ones."""
