"""Deleting jobs: asked for, or because nobody waits for them any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest

from cl_client import JobNotFoundError
from cl_client.testing import Stall, StubServer, cut, http_response
from followers import Log
from patience import BRIEF, SECONDS, soon
from support import NO_SLOW_READS

if TYPE_CHECKING:
    from cl_client.testing import FaultProxy, FaultyServer

GONE = http_response("404 Not Found", '{"detail": "Job j not found"}')


@pytest.fixture
def proxy(faulty_server: FaultyServer) -> FaultProxy:
    return faulty_server.http


def deletions(proxy: FaultProxy) -> int:
    return sum(request.startswith(b"DELETE") for request in proxy.requests)


async def some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_deletion_whose_answer_was_lost_is_one(proxy: FaultProxy) -> None:
    async with proxy.client() as client:
        job = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
        proxy.plan(cut(after=0))
        await client.delete_job(job.job_id)
        assert deletions(proxy) == 2
        with pytest.raises(JobNotFoundError):
            await client.delete_job(job.job_id)


async def test_a_read_that_its_deletion_overtakes_is_not_remembered(proxy: FaultProxy) -> None:
    async with proxy.client() as client:
        job = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
        stall = Stall(after=0)
        proxy.plan(stall)
        reading = asyncio.create_task(client.get_job(job.job_id))
        await soon(stall.reached())
        await client.delete_job(job.job_id)
        stall.release()
        assert (await reading).status == "completed"
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id, cache=True)


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Busy", "504 Gateway Timeout"])
async def test_a_job_that_may_have_been_deleted_before_is_deleted(status: str) -> None:
    async with StubServer(http_response(status, headers="Retry-After: 0\r\n"), GONE).running() as client:
        await client.delete_job("j")


async def test_a_deletion_that_was_refused_at_first_may_find_nothing() -> None:
    refused = http_response("429 Slow down", headers="Retry-After: 0\r\n")
    async with StubServer(refused, GONE).running() as client:
        with pytest.raises(JobNotFoundError):
            await client.delete_job("j")


async def test_other_followers_of_the_client_learn_of_it_at_once(
    faulty_server: FaultyServer,
) -> None:
    held = faulty_server.hold_job()
    # Without a broker: a worker that turns idle would have the job read.
    async with faulty_server.client(auth_provider=None, mqtt_broker="off", **NO_SLOW_READS) as client:
        job = await client.hash.compute(b"x")
        await soon(held.reached())
        log = Log()
        client.subscribe_job_updates(job.job_id, log.progress, log.complete)
        await log.was_told("processing")
        await client.delete_job(job.job_id)
        assert (await log.the_end()).status == "deleted"


async def test_an_abandoned_job_is_deleted_however_often_the_wait_is_cancelled(
    faulty_server: FaultyServer, proxy: FaultProxy
) -> None:
    held, stall = faulty_server.hold_job(), Stall(after=0)
    proxy.plan(stall, matching="^DELETE ")
    async with proxy.client() as client:
        job = await client.hash.compute(b"x")
        await soon(held.reached())
        waiting = asyncio.create_task(client.wait_for_job(job.job_id, delete_on_cancel=True))
        await proxy.received(2)  # the wait has begun: it reads the job
        waiting.cancel()
        await soon(stall.reached())
        for _ in range(3):
            waiting.cancel()
            await some_turns()
        assert not waiting.done()
        stall.release()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert deletions(proxy) == 1
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id)


async def test_an_abandoned_job_is_deleted_inside_a_scope_of_anyio(
    faulty_server: FaultyServer, proxy: FaultProxy
) -> None:
    held, stall = faulty_server.hold_job(), Stall(after=0)
    proxy.plan(stall, matching="^DELETE ")
    async with proxy.client() as client:
        job = await client.hash.compute(b"x")
        scope = anyio.CancelScope()

        async def cancel() -> None:
            await soon(held.reached())
            scope.cancel()
            await soon(stall.reached())
            await some_turns()
            stall.release()

        cancelling = asyncio.create_task(cancel())
        with scope:
            await client.wait_for_job(job.job_id, delete_on_cancel=True)
        assert scope.cancelled_caught
        assert cancelling.done()
        await cancelling
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id)


async def test_closing_waits_for_a_deletion(faulty_server: FaultyServer, proxy: FaultProxy) -> None:
    held, stall = faulty_server.hold_job(), Stall(after=0)
    proxy.plan(stall, matching="^DELETE ")
    async with proxy.client() as client:
        job = await client.hash.compute(b"x")
        await soon(held.reached())
        waiting = asyncio.create_task(client.wait_for_job(job.job_id, delete_on_cancel=True))
        await proxy.received(2)  # the wait has begun: it reads the job
        waiting.cancel()
        await soon(stall.reached())
        closing = asyncio.create_task(client.close())
        await some_turns()
        assert not closing.done()
        stall.release()
        await soon(closing)
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert deletions(proxy) == 1


async def test_a_deletion_that_hangs_is_given_up_and_said(
    faulty_server: FaultyServer, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    held, stall = faulty_server.hold_job(), Stall(after=0)
    proxy.plan(stall, matching="^DELETE ")
    async with proxy.client(timeout=BRIEF) as client:
        job = await client.hash.compute(b"x")
        await soon(held.reached())
        waiting = asyncio.create_task(client.wait_for_job(job.job_id, delete_on_cancel=True))
        await proxy.received(2)  # the wait has begun: it reads the job
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(waiting)
    assert f"job {job.job_id} was abandoned, but could not be deleted" in caplog.text
