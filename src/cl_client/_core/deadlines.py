"""Time limits of whole calls, as opposed to those of single reads and writes."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import httpx

from cl_client._errors import InvalidParameterError
from cl_client._http_errors import RequestTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


MIN_POLL_SECONDS: Final = 0.01
"""Seconds. Reading a job more often would overload the server."""

_CHANGES: Final = frozenset({"DELETE", "PUT"})
"""Methods whose requests are sent at once. An upload reports itself how much of it was sent."""


def check_seconds(name: str, seconds: float | None, *, least: float = -math.inf) -> None:
    """Check a number of seconds.

    Args:
        name: Name of the parameter, for the message.
        seconds: The value; None is always valid. NaN is invalid, since a timer never reaches it.
        least: Smallest valid value, in seconds.

    Raises:
        InvalidParameterError: ``seconds`` is not a number, or is less than ``least``.
    """
    value = cast("object", seconds)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= least):
        return
    bound = f", at least {least:g}" if least > 0 else ""
    raise InvalidParameterError(f"{name}={value!r}: must be a number of seconds{bound}, or None")


@dataclass(slots=True)
class Limit:
    """State of the request, for the error that is raised at the time limit.

    Attributes:
        may_have_been_accepted: Returns whether the server may have accepted the request.
    """

    may_have_been_accepted: Callable[[], bool]


@contextlib.asynccontextmanager
async def deadline(seconds: float | None, what: str, url: str, method: str = "GET") -> AsyncGenerator[Limit]:
    """Limit the time of the code in the context, including retries and the pauses between them.

    Args:
        seconds: Time limit in seconds, above 0; None for no limit.
        what: What is limited, as the start of the error's sentence, for instance "Downloading a.jpg".
        url: URL of the error's ``request``.
        method: HTTP method of the error's ``request``.

    Yields:
        The limit, in which an upload reports whether the server may have accepted it.

    Raises:
        RequestTimeoutError: The time limit expired.
        TimeoutError: The code in the context raised one itself.
        InvalidParameterError: ``seconds`` is not a number above 0.
    """
    if isinstance(seconds, int | float) and not seconds > 0:
        raise InvalidParameterError(f"timeout={seconds!r}: must be above 0 seconds, or None for no limit")
    check_seconds("timeout", seconds)
    timeout, limit = asyncio.timeout(seconds), Limit(lambda: method in _CHANGES)
    try:
        async with timeout:
            yield limit
    except TimeoutError:
        if seconds is None or not timeout.expired():
            raise
        # What is left of a limit may be 2.99999 s of 3.
        error = RequestTimeoutError(f"{what} timed out after {round(seconds, 3) or seconds:g} s")
        error.request = httpx.Request(method, url)
        error.may_have_been_accepted = limit.may_have_been_accepted()
        raise error from None
