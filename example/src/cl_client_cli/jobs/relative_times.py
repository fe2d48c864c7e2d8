"""Relative times: ``2h`` and ``3d`` in arguments, ``3 min ago`` in tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cl_client_cli.frame.usage import UsageError

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SPAN: Final = re.compile(r"(\d+)([smhdw])")
_REMEDY: Final = "give an age such as 30m, 2h, 3d or 1w, or a date such as 2026-11-01"
_SPOKEN: Final = (("d", 86400.0), ("h", 3600.0), ("min", 60.0))


def parse_time(text: str, option: str) -> datetime:
    """Parse a point in time.

    Args:
        text: An age such as ``2h``, or a date such as ``2026-11-01``.
        option: The option with the text, for messages.

    Returns:
        The point in time.

    Raises:
        UsageError: The text is neither, or the year is out of range.
    """
    try:
        if match := _SPAN.fullmatch(text.strip()):
            return datetime.now(UTC) - int(match[1]) * _UNITS[match[2]]
        return datetime.fromisoformat(text.strip()).astimezone()
    except (OverflowError, OSError):  # Windows raises the latter for dates before 1970
        raise UsageError(f"{option} {text}: date out of range; {_REMEDY}") from None
    except ValueError:
        raise UsageError(f"{option} {text}: invalid time; {_REMEDY}") from None


def ago(seconds_since_epoch: float, now: float) -> str:
    """Format how long ago something was, in its largest unit.

    Args:
        seconds_since_epoch: The time of the event.
        now: The current time, in the same format.

    Returns:
        For instance ``3 min ago``.
    """
    passed = max(0.0, now - seconds_since_epoch)
    for unit, length in _SPOKEN:
        if passed >= length:
            return f"{passed / length:.0f} {unit} ago"
    return "just now"
