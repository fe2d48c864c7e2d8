"""How long tests wait for an event before they give up: long, as a busy machine is slow but not broken.

The environment variable ``CL_TEST_PATIENCE`` is a factor for all of it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")

FACTOR: Final = float(os.environ.get("CL_TEST_PATIENCE") or 1)
SECONDS: Final = 60 * FACTOR
"""For anything that a test waits for, a job or a whole command among it."""


def within(times: float = 1) -> asyncio.Timeout:
    """Give up on what an ``async with`` waits for after `SECONDS`, or so many times of it."""
    return asyncio.timeout(times * SECONDS)


async def soon(event: Awaitable[_T], times: float = 1) -> _T:
    """What happens, if it does before `SECONDS`, or so many times of it, are over."""
    return await asyncio.wait_for(event, times * SECONDS)


def eventually(condition: Callable[[], object]) -> None:
    """Wait in a thread until something is true; fail where it does not become so."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        threading.Event().wait(0.01)
