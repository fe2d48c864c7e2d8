"""After a submit that failed, the error says whether it can be repeated without a second job."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from cl_client import ComputeClient, RequestTimeoutError, ServerUnavailableError
from cl_client.options import UploadStream
from cl_client.testing import StubServer, http_response
from patience import BRIEF, NEVER
from support import free_port, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

JOB = json.dumps({"job_id": "j", "task_type": "hash", "status": "queued"})


def checked(error: ServerUnavailableError) -> bool:
    """What it says, after a look at its request, which httpx's users rely on."""
    assert isinstance(error, httpx.RequestError)
    assert (error.request.method, error.request.url.path) == ("POST", "/jobs/hash")
    return error.may_have_been_accepted


async def test_nobody_was_there_to_take_it() -> None:
    async with ComputeClient(f"http://127.0.0.1:{free_port()}", mqtt_broker="off") as client:
        with pytest.raises(ServerUnavailableError, match="Cannot connect") as caught:
            await client.hash.compute(b"x")
    assert not checked(caught.value)


async def test_the_answer_was_lost() -> None:
    async with StubServer(b"").running() as client:
        with pytest.raises(ServerUnavailableError, match="Lost the connection") as caught:
            await client.hash.compute(b"x")
    assert checked(caught.value)


@pytest.mark.parametrize("limit", [None, BRIEF])
async def test_there_was_no_answer_in_time(limit: float | None) -> None:
    async with StubServer(None).running(timeout=NEVER if limit else BRIEF) as client:
        with pytest.raises(RequestTimeoutError) as caught:
            await client.hash.compute(b"x", timeout=limit)
    assert checked(caught.value)


async def test_the_connection_broke_while_the_file_was_sent() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}"
    async with server, ComputeClient(url, mqtt_broker="off") as client:
        with pytest.raises(ServerUnavailableError, match="Lost the connection") as caught:
            await client.hash.compute(bytes(64 * 1024**2))
    assert not checked(caught.value)


@pytest.mark.parametrize("first", [b"", b"some of it"], ids=["before it began", "half way"])
async def test_the_file_did_not_come_in_time(first: bytes) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        if first:
            yield first
        await asyncio.Event().wait()

    async with StubServer(http_response("200 OK", JOB)).running() as client:
        with pytest.raises(RequestTimeoutError, match=r"timed out after 0\.3 s") as caught:
            await client.hash.compute(UploadStream(chunks, "a"), timeout=0.3)
    assert not checked(caught.value)


async def test_it_did_not_get_its_turn() -> None:
    server = StubServer(None)
    async with server.running(pool_maxsize=1, pool_timeout=0.1, max_retries=0) as client:
        first = asyncio.ensure_future(client.health())
        await server.received(1)
        with pytest.raises(RequestTimeoutError, match="Waiting for a free connection") as caught:
            await client.hash.compute(b"x")
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
    assert not checked(caught.value)


async def test_a_read_that_failed_has_its_request_too() -> None:
    async with StubServer(None).running() as client:
        with pytest.raises(RequestTimeoutError) as caught:
            await client.read_job_file("j", "output/a", timeout=BRIEF)
    assert caught.value.request.url.path == "/jobs/j/files/output/a"
