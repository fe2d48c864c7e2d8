"""Overall time limits, told apart from the time limits of single reads and writes."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import httpx

from cl_client._errors import InvalidParameterError, RequestTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


MIN_POLL_SECONDS: Final = 0.01
"""Seconds; reading a job more often would be an attack."""

_CHANGES: Final = frozenset({"DELETE", "PUT"})
"""Requests without anything that is yet to be sent: an upload says itself how far it is."""


def check_seconds(name: str, seconds: float | None, *, least: float = -math.inf) -> None:
    """Refuse what is no number of seconds, such as NaN, which a timer would never reach.

    Raises:
        InvalidParameterError: It is none, or less than ``least``.
    """
    value = cast("object", seconds)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= least):
        return
    bound = f", at least {least:g}" if least > 0 else ""
    raise InvalidParameterError(f"{name}={value!r}: must be a number of seconds{bound}, or None")


@dataclass(slots=True)
class Limit:
    """What is said of the request when the time is up.

    Attributes:
        may_have_been_accepted: Tells whether the server may have taken what was sent.
    """

    may_have_been_accepted: Callable[[], bool]


@contextlib.asynccontextmanager
async def deadline(seconds: float | None, what: str, url: str, method: str = "GET") -> AsyncGenerator[Limit]:
    """End what runs inside when its time is up, retries and pauses between them included.

    Args:
        seconds: Above 0; None for no limit.
        what: What takes the time, as the beginning of a sentence.
        url: What is asked for in it, for the error's ``request``.
        method: How.

    Raises:
        RequestTimeoutError: The time is up.
        InvalidParameterError: ``seconds`` is not above 0.
    """
    if isinstance(seconds, int | float) and not seconds > 0:
        raise InvalidParameterError(f"timeout={seconds!r}: must be above 0 seconds, or None for no limit")
    check_seconds("timeout", seconds)
    timeout, limit = asyncio.timeout(seconds), Limit(lambda: method in _CHANGES)
    try:
        async with timeout:
            yield limit
    except TimeoutError:
        if not timeout.expired():
            raise
        error = RequestTimeoutError(f"{what} was not done within {seconds:g} s")
        error.request = httpx.Request(method, url)
        error.may_have_been_accepted = limit.may_have_been_accepted()
        raise error from None
