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
SECONDS: Final = 100 * FACTOR
"""For anything that a test waits for: an event, a job, a whole command."""
BRIEF: Final = 3 * FACTOR
"""For a time limit of the product that is to expire, but not before the test has got to that point."""
NEVER: Final = 20 * SECONDS
"""For time limits and intervals of the product that must not be what ends a wait; no test waits so long."""


def within() -> asyncio.Timeout:
    """Give up on what an ``async with`` waits for."""
    return asyncio.timeout(SECONDS)


async def soon(event: Awaitable[_T]) -> _T:
    """What happens at last; gives up if it does not."""
    return await asyncio.wait_for(event, SECONDS)


def eventually(condition: Callable[[], object]) -> None:
    """Wait in a thread until something is true; fail where it does not become so."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        threading.Event().wait(0.01)
