"""Whether, and when, a request is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
from tenacity.wait import wait_base, wait_random_exponential

from cl_client._errors import InvalidRequestError, ServerBusyError, ServerError, ServerUnavailableError

if TYPE_CHECKING:
    from tenacity import RetryCallState

_TOO_MANY_REQUESTS: Final = 429
_GATEWAY_ERRORS: Final = frozenset({502, 504})
RETRYABLE_STATUSES: Final = frozenset({408, 421, 425})
"""They refuse the moment or the connection, not what was asked (RFC 9110, 15.5; RFC 8470, 5.2)."""
_backoff = wait_random_exponential(multiplier=0.2, max=10)


def can_repeat(error: BaseException) -> bool:
    """Whether a read or delete that met this error is worth another try."""
    if isinstance(error, ServerError):
        return error.status_code in _GATEWAY_ERRORS
    if isinstance(error, InvalidRequestError):
        return error.status_code in RETRYABLE_STATUSES
    return isinstance(error, ServerUnavailableError | ServerBusyError)


def was_not_accepted(error: BaseException) -> bool:
    """Whether it is certain that the server did not take a submit, so that it may be sent again."""
    if isinstance(error, ServerBusyError):
        return error.status_code == _TOO_MANY_REQUESTS
    return isinstance(error, ServerUnavailableError) and isinstance(
        error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )


def pause_before_retry(state: RetryCallState, backoff: wait_base = _backoff) -> float:
    """The server's own wish where it has one, else exponential backoff with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ServerBusyError) else None
    return asked if asked is not None else backoff(state)
