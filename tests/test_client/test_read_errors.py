"""Reads that fail: when whoever waits is told, and how much of it is logged."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import httpx
import pytest
from typing_extensions import override

from cl_client._http.errors import error_for
from cl_client._http.retries import can_repeat
from cl_client._jobs.read_policy import MAX_BAD_READS
from cl_client._jobs.waiting import Waiter
from cl_client.auth import NoAuthProvider
from cl_client.compute_client import ComputeClient
from cl_client.config import ComputeClientConfig
from cl_client.exceptions import (
    HTTPError,
    InvalidRequestError,
    InvalidResponseError,
    JobTimeoutError,
    PermissionDeniedError,
    ServerUnavailableError,
)
from cl_client.testing import StubServer, http_response
from followers import Log
from patience import soon, within
from tracked_jobs import Server, job, tracker_of

if TYPE_CHECKING:
    from cl_client.models import JobResponse


def refusal(status: int) -> HTTPError:
    request = httpx.Request("GET", "http://server/jobs/j")
    return error_for(httpx.Response(status, text="<html>nothing here</html>", request=request))


HOPELESS = [InvalidResponseError("a login page"), refusal(404), KeyError("of an auth provider")]


@pytest.mark.parametrize("error", HOPELESS)
async def test_what_stays_hopeless_is_told_to_whoever_waits(error: Exception) -> None:
    server, waiter, log = Server(error), Waiter(), Log()
    tracker = tracker_of(server.read)
    tracker.follow("j", waiter)
    tracker.subscribe("j", None, log.complete)
    with pytest.raises(type(error)):
        await soon(waiter.ended)
    assert server.reads == MAX_BAD_READS
    assert not log.ended
    await tracker.close()


@pytest.mark.parametrize("error", HOPELESS)
async def test_what_is_hopeless_now_and_then_ends_nothing(error: Exception) -> None:
    almost = [error] * (MAX_BAD_READS - 1)
    server, waiter = Server(*almost, job("processing", 10), *almost, job("completed", 100)), Waiter()
    tracker = tracker_of(server.read)
    tracker.follow("j", waiter)
    assert (await soon(waiter.ended)).status == "completed"
    await tracker.close()


@pytest.mark.parametrize("status", [408, 421, 425])
async def test_a_refusal_of_the_moment_is_repeated_for_ever(status: int) -> None:
    error = refusal(status)
    assert can_repeat(error)
    server, waiter = Server(*[error] * 3 * MAX_BAD_READS, job("completed", 100)), Waiter()
    tracker = tracker_of(server.read)
    tracker.follow("j", waiter)
    assert (await soon(waiter.ended)).status == "completed"
    await tracker.close()


async def test_any_other_refusal_is_final_at_once() -> None:
    server, waiter = Server(refusal(405)), Waiter()
    tracker = tracker_of(server.read)
    tracker.follow("j", waiter)
    with pytest.raises(InvalidRequestError):
        await soon(waiter.ended)
    assert server.reads == 1
    assert not can_repeat(refusal(405))
    await tracker.close()


async def test_a_subscription_without_a_callback_for_errors_logs_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, errors = Server(refusal(403)), asyncio.Queue[Exception]()
    tracker = tracker_of(server.read)
    tracker.subscribe("j", None, None)
    tracker.subscribe("j", None, None, errors.put_nowait)
    assert isinstance(await soon(errors.get()), PermissionDeniedError)
    assert server.reads == MAX_BAD_READS
    assert caplog.text.count("job j is no longer followed: ") == 1
    await tracker.close()


class SealedVault(NoAuthProvider):
    """A provider of an application, with a fault of its own."""

    def __init__(self, fault: type[Exception]) -> None:
        self._fault = fault

    @override
    def get_headers(self) -> dict[str, str]:
        raise self._fault("the vault is sealed")


@pytest.mark.parametrize("fault", [LookupError, TimeoutError])
async def test_what_an_auth_provider_raises_is_what_the_wait_ends_with(
    fault: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        StubServer(http_response("200 OK", "{}")).running(poll_min=0.01, poll_interval=0.01) as client,
        ComputeClient(auth_provider=SealedVault(fault), config=client.config) as sealed,
        aclosing(sealed.watch_job("j")) as updates,
    ):
        for seconds in (None, 600.0):
            with pytest.raises(fault, match="the vault is sealed") as caught:
                await soon(sealed.wait_for_job("j", timeout=seconds))
            assert type(caught.value) is fault
        with pytest.raises(fault, match="the vault is sealed"):
            await soon(anext(updates))
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.exc_info is not None for record in loud] == [True] * 3  # one for each wait


async def test_an_unknown_status_is_said_once_and_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(job("processing", 10), *[job("on hold", 10)] * 3, job("completed", 100))
    tracker, waiter = tracker_of(server.read), Waiter()
    tracker.follow("j", waiter)
    assert (await soon(waiter.ended)).status == "completed"
    assert caplog.text.count("has the status 'on hold', unknown") == 1
    await tracker.close()


async def test_an_unknown_status_is_what_a_timeout_tells() -> None:
    body = '{"job_id": "j", "task_type": "hash", "status": "on hold"}'
    server = StubServer(http_response("200 OK", body))
    async with server.running() as client, aclosing(client.watch_job("j")) as updates:
        assert (await anext(updates)).raw_status == "on hold"
        with pytest.raises(JobTimeoutError, match="'on hold', which is unknown to this version"):
            await client.wait_for_job("j", timeout=0.05)


async def test_an_unknown_status_does_not_take_progress_back() -> None:
    server, log, waiter = (
        Server(job("processing", 30), job("on hold", 10), job("completed", 100)),
        Log(),
        Waiter(),
    )
    tracker = tracker_of(server.read)
    tracker.subscribe("j", log.progress, log.complete)
    tracker.follow("j", waiter)
    await soon(waiter.ended)
    assert log.told == [("processing", 30)]
    await tracker.close()


async def test_an_outage_is_one_warning_and_its_end_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cl_client")
    names, reads = [f"j{number}" for number in range(100)], 0

    async def read(job_id: str) -> JobResponse:
        nonlocal reads
        reads += 1
        if reads < 5 * len(names):
            raise ServerUnavailableError("nobody there")
        return job("completed", 100).model_copy(update={"job_id": job_id})

    often = ComputeClientConfig(poll_min=0.01, poll_interval=0.01, poll_interval_push=0.01)
    tracker = tracker_of(read, often)
    waiters = [Waiter() for _ in names]
    for name, waiter in zip(names, waiters, strict=True):
        tracker.follow(name, waiter)
    async with within():
        await asyncio.gather(*(waiter.ended for waiter in waiters))
    warning, back = (record for record in caplog.records if record.levelno >= logging.INFO)
    assert "cannot be read: nobody there" in warning.getMessage()
    assert (warning.levelno, back.levelno) == (logging.WARNING, logging.INFO)
    assert "the server is back" in back.getMessage()
    await tracker.close()
