"""Patterns of whole paths, with ``**`` for any number of folders."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ANY_DEPTH: Final = "**"


def fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern; hidden ones only if the pattern has the dot.

    Args:
        parts: The parts of the path.
        pattern: Those of the pattern; ``**`` matches any number of folders.

    Returns:
        Whether they match.
    """
    if not pattern:
        return not parts
    first, *rest = pattern
    if not parts:
        return first == ANY_DEPTH and fits(parts, rest)
    shown = not parts[0].startswith(".") or first.startswith(".")
    if first == ANY_DEPTH:
        return fits(parts, rest) or (shown and fits(parts[1:], pattern))
    return shown and fnmatch(parts[0], first) and fits(parts[1:], rest)
