"""The wire's time."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Milliseconds since the epoch, the wire's unit of time."""
    return time.time_ns() // 1_000_000
