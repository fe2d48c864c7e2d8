"""The time format of the wire."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the current time as the wire has it.

    Returns:
        Milliseconds since the Unix epoch.
    """
    return time.time_ns() // 1_000_000
