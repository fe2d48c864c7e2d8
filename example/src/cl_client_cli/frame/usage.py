"""The error of a command that was called with an invalid argument."""

from __future__ import annotations


class UsageError(ValueError):
    """An argument is invalid; the message names it, the rule and the remedy. The exit code is 2."""
