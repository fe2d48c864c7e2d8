"""Overall time limits, told apart from the time limits of single reads and writes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from cl_client.exceptions import InvalidParameterError, RequestTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@contextlib.asynccontextmanager
async def deadline(seconds: float | None, what: str) -> AsyncGenerator[None]:
    """End what runs inside when its time is up, retries and pauses between them included.

    Args:
        seconds: Above 0; None for no limit.
        what: What takes the time, as the beginning of a sentence.

    Raises:
        RequestTimeoutError: The time is up.
        InvalidParameterError: ``seconds`` is not above 0.
    """
    if seconds is not None and not seconds > 0:
        raise InvalidParameterError(f"timeout={seconds!r}: must be above 0 seconds, or None for no limit")
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise RequestTimeoutError(f"{what} was not done within {seconds:g} s") from None
