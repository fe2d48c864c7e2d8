"""Pauses between attempts: what servers ask for in every form, and how long a call may pause in all."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import httpx
import pytest

from cl_client import RequestTimeoutError, ServerBusyError, ServerUnavailableError
from cl_client._http.retries import RetryRules, retried, retry_after
from cl_client.config import ComputeClientConfig
from cl_client.testing import StubServer, http_response
from patience import BRIEF

NOW = datetime(2026, 2, 18, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([("Retry-After", "3")], 3.0),
        ([("Retry-After", " 1.5 ")], 1.5),
        ([("Retry-After", "0")], 0.0),
        ([("Retry-After", "-1")], 0.0),
        ([("Retry-After", "99999")], 300.0),
        ([("Retry-After", "9" * 400)], 300.0),
        ([("Retry-After", "Wed, 18 Feb 2026 12:00:07 GMT")], 7.0),
        ([("Retry-After", "Wed, 18 Feb 2026 12:00:07 -0000")], 7.0),
        ([("Retry-After", "Wed, 18 Feb 2026 13:00:07 +0100")], 7.0),
        ([("Retry-After", "Wednesday, 18-Feb-26 12:00:07 GMT")], 7.0),
        ([("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")], 0.0),
        ([("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")], 300.0),
        ([("Retry-After", "Fri, 31 Dec 9999 23:59:59 -9999")], None),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "nan")], None),
        ([("Retry-After", "inf")], None),
        ([("Retry-After", "1_0")], None),
        ([("Retry-After", "")], None),
        ([("Retry-After", "2, 5")], 5.0),
        ([("Retry-After", "2"), ("Retry-After", "5")], 5.0),
        ([("Retry-After", "soon"), ("Retry-After", "Wed, 18 Feb 2026 12:00:07 GMT")], 7.0),
        ([("retry-after-ms", "250")], 0.25),
        ([("retry-after-ms", "250"), ("Retry-After", "1")], 0.25),
        ([("retry-after-ms", "soon"), ("Retry-After", "1")], 1.0),
        ([("retry-after-ms", "-4")], 0.0),
    ],
)
def test_forms_of_retry_after(headers: list[tuple[str, str]], seconds: float | None) -> None:
    assert retry_after(httpx.Response(503, headers=headers), NOW) == seconds


def busy(seconds: float | None) -> ServerBusyError:
    response = httpx.Response(503, request=httpx.Request("GET", "http://server/"))
    return ServerBusyError("busy", response=response, detail="", retry_after=seconds)


@pytest.mark.parametrize(
    ("asked", "failed", "waited", "pause"),
    [
        (2.0, 1, 0.0, 2.0),
        (0.0, 1, 0.0, 0.0),
        (300.0, 1, 0.0, 60.0),
        (300.0, 2, 60.0, 60.0),
        (300.0, 3, 120.0, None),
        (60.0, 1, 61.0, None),
        (60.0, 5, 0.0, None),
    ],
)
def test_the_pause_that_a_server_asks_for(
    asked: float, failed: int, waited: float, pause: float | None
) -> None:
    assert RetryRules(max_retries=4, max_wait=120).pause(busy(asked), failed, waited) == pause


@pytest.mark.parametrize(("failed", "longest"), [(1, 0.2), (3, 0.8), (9, 10.0), (10_000, 10.0)])
def test_backoff_where_the_server_says_nothing(failed: int, longest: float) -> None:
    rules = RetryRules(None, math.inf)
    for error in (busy(None), ServerUnavailableError("gone")):
        pauses = [rules.pause(error, failed, 0.0) or 0.0 for _ in range(200)]
        assert 0 <= min(pauses) < longest / 2 < max(pauses) <= longest


async def test_pauses_count_anew_when_there_is_progress() -> None:
    done, pauses = 0, list[float]()

    async def attempt() -> None:
        nonlocal done
        done += done < 5
        raise busy(40)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(ServerBusyError):
        await retried(
            attempt,
            lambda _: True,
            RetryRules(2, 100),
            lambda _error, _failed, _pause: None,
            sleep=sleep,
            progress=lambda: done,
        )
    assert pauses == [40.0] * 6


async def test_a_call_whose_pauses_would_take_too_long_ends_with_the_servers_answer() -> None:
    server = StubServer(http_response("429 Busy", headers="Retry-After: 0.25\r\n"))
    async with server.running(max_retry_wait=0.6) as client:
        with pytest.raises(ServerBusyError) as caught:
            await client.health()
    assert caught.value.retry_after == 0.25
    assert len(server.requests) == 3
    assert ComputeClientConfig().max_retry_wait == 120


async def test_errors_of_attempts_do_not_remember_each_other() -> None:
    server = StubServer(http_response("429 Busy", headers="Retry-After: 0\r\n"), None)
    async with server.running(timeout=BRIEF, max_retries=1) as client:
        with pytest.raises(RequestTimeoutError) as caught:
            await client.health()
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, ServerBusyError)
        error = error.__cause__ or error.__context__
