"""Retries: whether, when and how often a request is repeated."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypeVar

import httpx

from cl_client._http_errors import InvalidRequestError, ServerBusyError, ServerError, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ResultT = TypeVar("ResultT")

_TOO_MANY_REQUESTS: Final = 429
_GATEWAY_ERRORS: Final = frozenset({502, 504})
RETRYABLE_STATUSES: Final = frozenset({408, 421, 425})
"""Statuses that reject the moment or the connection, but not the request (RFC 9110, 15.5; RFC 8470, 5.2)."""
_FIRST_BACKOFF: Final = 0.2
MAX_PAUSE: Final = 60.0
"""Maximum pause in seconds, even if a server asks for more."""
_MAX_RETRY_AFTER: Final = 300.0
_NUMBER: Final = re.compile(r"\s*[-+]?[0-9]+(?:\.[0-9]*)?\s*")


def can_repeat(error: Exception) -> bool:
    """Decide whether a failed read or delete may be repeated.

    Args:
        error: Why it failed.

    Returns:
        Whether another attempt may succeed.
    """
    if isinstance(error, ServerError):
        return error.status_code in _GATEWAY_ERRORS
    if isinstance(error, InvalidRequestError):
        return error.status_code in RETRYABLE_STATUSES
    return isinstance(error, ServerUnavailableError | ServerBusyError)


def was_not_accepted(error: Exception) -> bool:
    """Decide whether a failed submit may be repeated without creating a second job.

    Args:
        error: Why it failed.

    Returns:
        Whether the server certainly did not accept the submit.
    """
    if isinstance(error, ServerBusyError):
        return error.status_code == _TOO_MANY_REQUESTS
    return isinstance(error, ServerUnavailableError) and isinstance(
        error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Rules for when a failed call is repeated, and when it is given up.

    Attributes:
        max_retries: Maximum number of attempts after the first one; None for no limit.
        max_wait: Maximum seconds of all pauses together.
        max_backoff: Maximum pause in seconds if the server asks for none.
        attempts_count: Whether the time of the attempts themselves counts towards ``max_wait``.
    """

    max_retries: int | None
    max_wait: float
    max_backoff: float = 10.0
    attempts_count: bool = False

    def pause(self, error: Exception, failed: int, waited: float) -> float | None:
        """Compute the pause before the next attempt.

        The pause that the server asks for, up to a minute; otherwise exponential backoff with full jitter.

        Args:
            error: Error of the last attempt.
            failed: Number of failed attempts, at least 1.
            waited: Seconds of ``max_wait`` that are used up.

        Returns:
            Seconds until the next attempt; None if there is to be none.
        """
        if self.max_retries is not None and failed > self.max_retries:
            return None
        asked = error.retry_after if isinstance(error, ServerBusyError) else None
        if asked is None:
            longest = min(_FIRST_BACKOFF * 2.0 ** min(failed - 1, 16), self.max_backoff)
            pause = random.uniform(0.0, longest)  # noqa: S311 - no secret
        else:
            pause = min(asked, MAX_PAUSE)
        return pause if waited + pause <= self.max_wait else None


async def retried(
    attempt: Callable[[], Awaitable[ResultT]],
    repeatable: Callable[[Exception], bool],
    rules: RetryRules,
    on_failure: Callable[[Exception, int, float], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    progress: Callable[[], int] = int,
) -> ResultT:
    """Call a function until it succeeds, or until the rules allow no further attempt.

    The last error is raised unchanged.

    Args:
        attempt: Function to call.
        repeatable: Decides whether it may be called again after an error.
        rules: How often, and with which pauses.
        on_failure: Called before each further attempt with the error, the number of failed attempts, and the
            pause in seconds.
        sleep: Waits for a number of seconds.
        progress: Returns how much is done. If an attempt makes progress, the count of attempts starts again.

    Returns:
        The result of the successful attempt.
    """
    failed, waited, furthest, begun = 0, 0.0, progress(), time.monotonic()
    while True:
        try:
            return await attempt()
        except Exception as exc:  # `repeatable` decides about every error
            if progress() > furthest:
                failed, waited, furthest = 0, 0.0, progress()
            failed += 1
            spent = time.monotonic() - begun if rules.attempts_count else waited
            pause = rules.pause(exc, failed, spent) if repeatable(exc) else None
            if pause is None:
                raise
            on_failure(exc, failed, pause)
        # Outside of the except clause; otherwise this error would be the context of the next one.
        waited += pause
        await sleep(pause)


def retry_after(response: httpx.Response, now: datetime | None = None) -> float | None:
    """Read how long a server asks to wait.

    Reads ``Retry-After`` as a number, possibly with a fraction, or as a date (RFC 9110, 10.2.3). The more
    precise ``Retry-After-Ms`` of some gateways takes precedence. Of several values, the longest is used.

    Args:
        response: Response of the server.
        now: Time that a date is compared with; the current time by default.

    Returns:
        Seconds, 0-300; None if the server does not say it.
    """
    for name, unit in (("Retry-After-Ms", 0.001), ("Retry-After", 1.0)):
        values = response.headers.get_list(name)
        asked = [seconds for value in values if (seconds := _seconds(value, unit, now)) is not None]
        if asked:
            return min(max(0.0, *asked), _MAX_RETRY_AFTER)
    return None


def _seconds(value: str, unit: float, now: datetime | None) -> float | None:
    numbers = [float(part) * unit for part in value.split(",") if _NUMBER.fullmatch(part)]
    if numbers:
        return max(numbers)
    try:
        when = parsedate_to_datetime(value)
        return (when.replace(tzinfo=when.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
