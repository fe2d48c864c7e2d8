"""Whether, when and how often a request is tried again."""

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

from cl_client._errors import InvalidRequestError, ServerBusyError, ServerError, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ResultT = TypeVar("ResultT")

_TOO_MANY_REQUESTS: Final = 429
_GATEWAY_ERRORS: Final = frozenset({502, 504})
RETRYABLE_STATUSES: Final = frozenset({408, 421, 425})
"""They refuse the moment or the connection, not what was asked (RFC 9110, 15.5; RFC 8470, 5.2)."""
_FIRST_BACKOFF: Final = 0.2
MAX_PAUSE: Final = 60.0
"""Seconds. A server that asks for more is asked again after these."""
_MAX_RETRY_AFTER: Final = 300.0
_NUMBER: Final = re.compile(r"\s*[-+]?[0-9]+(?:\.[0-9]*)?\s*")


def can_repeat(error: Exception) -> bool:
    """Whether a read or delete that met this error is worth another try."""
    if isinstance(error, ServerError):
        return error.status_code in _GATEWAY_ERRORS
    if isinstance(error, InvalidRequestError):
        return error.status_code in RETRYABLE_STATUSES
    return isinstance(error, ServerUnavailableError | ServerBusyError)


def was_not_accepted(error: Exception) -> bool:
    """Whether it is certain that the server did not take a submit, so that it may be sent again."""
    if isinstance(error, ServerBusyError):
        return error.status_code == _TOO_MANY_REQUESTS
    return isinstance(error, ServerUnavailableError) and isinstance(
        error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )


@dataclass(frozen=True, slots=True)
class RetryRules:
    """When something that failed is tried again, and when it is given up.

    Attributes:
        max_retries: Attempts after the first one, None for any number.
        max_wait: Seconds for all pauses together.
        max_backoff: The longest pause where the server asks for none.
        attempts_count: Whether the time of the attempts themselves is a part of ``max_wait``.
    """

    max_retries: int | None
    max_wait: float
    max_backoff: float = 10.0
    attempts_count: bool = False

    def pause(self, error: Exception, failed: int, waited: float) -> float | None:
        """Seconds until the next attempt, None where there is to be none.

        The server's own wish where it has one, up to a minute; else exponential backoff with full jitter.

        Args:
            error: What ended the last attempt.
            failed: How many attempts have failed.
            waited: Seconds that are spent of ``max_wait``.
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
    """Call something until it succeeds, or is not worth another attempt; its last error is raised as it is.

    Args:
        attempt: What to do.
        repeatable: Whether it may be done again after this error.
        rules: How often, and when.
        on_failure: Told of each error that is followed by another attempt, with the number of the attempt and
            the pause.
        sleep: Pauses.
        progress: How much is done. An attempt that brings more begins the count anew.
    """
    failed, waited, furthest, begun = 0, 0.0, progress(), time.monotonic()
    while True:
        try:
            return await attempt()
        except Exception as exc:  # whatever it is, `repeatable` decides
            if progress() > furthest:
                failed, waited, furthest = 0, 0.0, progress()
            failed += 1
            spent = time.monotonic() - begun if rules.attempts_count else waited
            pause = rules.pause(exc, failed, spent) if repeatable(exc) else None
            if pause is None:
                raise
            on_failure(exc, failed, pause)
        # Outside of the except clause, or the next error would remember this one.
        waited += pause
        await sleep(pause)


def retry_after(response: httpx.Response, now: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait, at most five minutes; None where it does not say so.

    ``Retry-After`` as a number, also one with a fraction, or as a date (RFC 9110, 10.2.3), and
    ``Retry-After-Ms`` of some gateways, which is more precise. The longest of several.

    Args:
        response: Its answer.
        now: What a date is compared with.
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
