"""A method's ``timeout`` is for the whole call; jobs that have ended are served from memory."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from cl_client import (
    ComputeClient,
    ComputeClientConfig,
    InvalidParameterError,
    JobNotFoundError,
    JobTimeoutError,
    RequestTimeoutError,
)
from patience import BRIEF, soon
from support import client_of, heard, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from cl_client.local import LocalServer
    from cl_client.testing import FaultyServer

BUSY = b"HTTP/1.1 429 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def busy_server() -> AsyncGenerator[tuple[ComputeClient, list[bytes]]]:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(BUSY)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}"
    async with server, ComputeClient(url, mqtt_broker="off") as client:
        yield client, asked


async def test_retries_end_with_the_callers_time(caplog: pytest.LogCaptureFixture) -> None:
    async with busy_server() as (client, asked):
        with pytest.raises(RequestTimeoutError, match=rf"Submitting a hash job timed out after {BRIEF:g} s"):
            await client.hash.compute(b"x", timeout=BRIEF)
        with heard("cl_client.http", "retrying in 60.0 s") as waits:
            reading = asyncio.ensure_future(client.get_job("the-job"))
            await soon(waits.wait())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reading, 0.05)
    assert len(asked) == 2
    retries = [record for record in caplog.records if "retrying in 60.0 s" in record.getMessage()]
    assert [getattr(record, "job_id", None) for record in retries] == ["", "the-job"]


CALLS: dict[str, Callable[[ComputeClient, float], Awaitable[object]]] = {
    "Reading job j": lambda client, seconds: client.get_job("j", timeout=seconds),
    "Deleting job j": lambda client, seconds: client.delete_job("j", timeout=seconds),
    "Asking for the server's health": lambda client, seconds: client.health(timeout=seconds),
    "Reading the workers' capabilities": lambda client, seconds: client.get_capabilities(timeout=seconds),
    "Reading the storage usage": lambda client, seconds: client.admin.storage(timeout=seconds),
    "Deleting old jobs": lambda client, seconds: client.admin.cleanup(timeout=seconds),
    "Reading the guest mode": lambda client, seconds: client.admin.guest_mode(timeout=seconds),
    "Switching the guest mode": lambda client, seconds: client.admin.set_guest_mode(True, timeout=seconds),
}


@pytest.mark.parametrize("what", CALLS)
async def test_every_single_call_takes_a_limit(what: str) -> None:
    async with busy_server() as (client, asked):
        with pytest.raises(RequestTimeoutError, match=f"{what} timed out after 0.5 s") as caught:
            await CALLS[what](client, 0.5)
        assert len(asked) == 1
        assert caught.value.may_have_been_accepted is (caught.value.request.method in {"DELETE", "PUT"})
        for seconds in (0, -1.0, float("nan")):
            with pytest.raises(InvalidParameterError, match="must be above 0"):
                await CALLS[what](client, seconds)
        assert len(asked) == 1


async def test_the_time_of_the_upload_counts(faulty_server: FaultyServer) -> None:
    faulty_server.hold_job()
    async with faulty_server.client() as client:
        with pytest.raises(JobTimeoutError, match=r"timed out after 3 s"):
            await client.submit_job("hash", b"x", {}, {"wait": True, "timeout": 3})
        for seconds in (0, -1.0, float("nan")):
            with pytest.raises(InvalidParameterError, match="must be above 0"):
                await client.hash.compute(b"x", timeout=seconds)


async def test_ended_jobs_from_memory(faulty_server: FaultyServer) -> None:
    held = faulty_server.hold_job()
    async with faulty_server.client() as client:
        job = await client.hash.compute(b"x")
        await soon(held.reached())
        assert (await client.get_job(job.job_id, cache=True)).status == "processing"
        held.release()
        ended = await client.wait_for_job(job.job_id)
        async with faulty_server.client() as another:
            await another.delete_job(job.job_id)
        assert await client.get_job(job.job_id, cache=True) == ended
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id)
        with pytest.raises(JobNotFoundError):
            await client.delete_job(job.job_id)
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id, cache=True)


async def test_the_memory_of_ended_jobs_can_be_off(
    local_server: Callable[..., LocalServer],
) -> None:
    server = local_server()
    config = ComputeClientConfig.create(
        base_url=server.base_url, mqtt_broker=server.mqtt_url, job_cache_size=0
    )
    async with ComputeClient(config=config) as client, client_of(server) as another:
        job = await client.hash.compute(b"x", wait=True)
        await another.delete_job(job.job_id)
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id, cache=True)
