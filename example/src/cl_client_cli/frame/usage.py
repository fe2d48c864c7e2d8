"""The error of a command that was called with something that cannot be."""

from __future__ import annotations


class UsageError(ValueError):
    """An argument is wrong; the message names it, the rule, and the remedy. The exit code is 2."""
