"""A job whose id has come is not lost while its file is closed: it is told of, or deleted."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client import JobTimeoutError, PermissionDeniedError
from cl_client.options import UploadStream
from cl_client.testing import StubServer, http_response
from patience import BRIEF, SECONDS, soon

if TYPE_CHECKING:
    from pathlib import Path

JOB = '{"job_id": "j", "task_type": "hash", "status": "%s"}'


class SlowToClose(AsyncGenerator[bytes]):
    """One chunk of a file whose end waits for the test."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.gate = asyncio.Event()
        self._chunks = [b"abc"]

    @override
    async def asend(self, value: None, /) -> bytes:
        if not self._chunks:
            raise StopAsyncIteration
        return self._chunks.pop()

    @override
    async def athrow(self, *_args: object) -> bytes:
        raise NotImplementedError

    @override
    async def aclose(self) -> None:
        self.closing.set()
        await self.gate.wait()


def server_of_a_running_job() -> StubServer:
    """Submits are queued, and what is read, or deleted, is a job that runs."""
    return StubServer(
        http_response("200 OK", JOB % "processing"), files={"hash": http_response("200 OK", JOB % "queued")}
    )


def deletions(server: StubServer) -> int:
    return sum(request.startswith(b"DELETE /jobs/j ") for request in server.requests)


async def test_the_time_is_up_while_the_file_is_closed() -> None:
    server, stream = server_of_a_running_job(), SlowToClose()
    async with server.running() as client:
        source = UploadStream(stream, "a", 3)
        with pytest.raises(JobTimeoutError, match=r"Waiting for job j timed out after 0\.3 s") as caught:
            await client.hash.compute(source, wait=True, timeout=0.3, delete_on_cancel=True)
    assert stream.closing.is_set()
    assert caught.value.job is not None
    assert deletions(server) == 1


@pytest.mark.parametrize("wait", [False, True])
async def test_a_submit_is_cancelled_while_the_file_is_closed(*, wait: bool) -> None:
    server, stream = server_of_a_running_job(), SlowToClose()
    async with server.running() as client:
        source = UploadStream(stream, "a", 3)
        submitting = asyncio.create_task(client.hash.compute(source, wait=wait, delete_on_cancel=True))
        await soon(stream.closing.wait())
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
    assert deletions(server) == 1


async def test_the_limit_of_an_upload_is_over_when_it_is_answered() -> None:
    stream = SlowToClose()
    async with server_of_a_running_job().running() as client:
        source = UploadStream(stream, "a", 3)
        submitting = asyncio.create_task(client.hash.compute(source, timeout=BRIEF))
        await soon(stream.closing.wait())
        asyncio.get_running_loop().call_later(BRIEF, stream.gate.set)
        assert (await submitting).job_id == "j"


async def test_a_file_that_cannot_be_closed_does_not_cost_its_job(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(SlowToClose):
        @override
        async def aclose(self) -> None:
            raise OSError("no connection to it any more")

    async with server_of_a_running_job().running() as client:
        assert (await client.hash.compute(UploadStream(Broken(), "a", 3))).job_id == "j"
    assert "job j was submitted, but closing its file failed" in caplog.text


async def test_a_job_does_not_wait_for_the_threads_of_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    loop, gate = asyncio.get_running_loop(), threading.Event()

    def occupy(_done: int, _total: int | None) -> None:
        loop.run_in_executor(None, gate.wait)

    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        async with server_of_a_running_job().running() as client:
            submitting = asyncio.create_task(client.hash.compute(path, on_upload=occupy))
            done, _ = await asyncio.wait([submitting], timeout=SECONDS)
            gate.set()
            assert (await submitting).job_id == "j"
    assert done


async def test_a_refusal_that_nobody_is_left_to_hear_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    server = StubServer(
        http_response("403 Forbidden"), files={"hash": http_response("200 OK", JOB % "queued")}
    )
    stream = SlowToClose()
    async with server.running() as client:
        waiting = asyncio.ensure_future(client.hash.compute(UploadStream(stream, "a", 3), wait=True))
        await server.received(2)  # the job is followed already
        with pytest.raises(PermissionDeniedError):
            await soon(client.wait_for_job("j"))
        await soon(stream.closing.wait())
        waiting.cancel()
        await asyncio.wait([waiting])
    del waiting
    gc.collect()  # when asyncio would complain of what nobody has looked at
    assert "never retrieved" not in caplog.text
