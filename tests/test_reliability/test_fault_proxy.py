"""Transfers through a faulty network: each fault has its error, leaves nothing behind, and passes."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from typing_extensions import override

from cl_client import (
    AuthProvider,
    ComputeClient,
    InvalidRequestError,
    JobFilesError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnavailableError,
)
from cl_client.local import LocalServer
from cl_client.testing import (
    Fault,
    FaultProxy,
    Stall,
    cut,
    http_response,
    misstate_length,
    refuse,
    reply,
    reset,
    trickle,
)
from patience import FACTOR, SECONDS, soon

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

CONTENT = random.Random(7).randbytes(3_000_000)  # noqa: S311 - only has to be hard to compress
FILE = "input/file"
"""Where a server keeps what was uploaded as bytes."""

HALF = 1_500_000
FIRST_BYTES = 10
"""Within the status line."""

BUSY = reply(response=b"HTTP/1.1 429 Slow down\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
UNAVAILABLE = reply(response=http_response("503 Unavailable", headers="Retry-After: 0\r\n"))
GARBAGE = reply(response=b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
TOO_LARGE = http_response("413 Too Large", '{"detail": "at most 5 bytes"}')

ON_DOWNLOADS = [
    pytest.param(cut(after=0), ServerUnavailableError, "Lost the connection", id="cut before the answer"),
    pytest.param(cut(after=FIRST_BYTES), ServerUnavailableError, "Lost the connection", id="cut in the head"),
    pytest.param(cut(after=HALF), ServerUnavailableError, "Lost the connection", id="cut in the body"),
    pytest.param(Stall(after=0), RequestTimeoutError, "Waiting for an answer .* timed out", id="no answer"),
    pytest.param(Stall(after=HALF), RequestTimeoutError, "Waiting for an answer .* timed out", id="stalled"),
    pytest.param(misstate_length(by=1), ServerUnavailableError, "Lost the connection", id="too little came"),
    pytest.param(reset(after=0), ServerUnavailableError, "Lost the connection", id="reset"),
    pytest.param(GARBAGE, ServerUnavailableError, "Lost the connection", id="garbage"),
    pytest.param(BUSY, ServerBusyError, "429 Slow down", id="busy"),
    pytest.param(UNAVAILABLE, ServerBusyError, "503 Unavailable", id="unavailable"),
    pytest.param(refuse(response=TOO_LARGE), InvalidRequestError, "at most 5", id="refused"),
]
ON_UPLOADS = [
    *(case for case in ON_DOWNLOADS if case.id not in {"cut in the body", "stalled", "busy"}),
    pytest.param(reset(after=HALF), ServerUnavailableError, "Lost the connection", id="reset in the body"),
]
"""Answers to uploads are too short to break within their body; a server that is busy is asked again."""

Fetch: TypeAlias = Callable[[ComputeClient, str, Path], Awaitable[bytes]]
"""Fetches the large file of a job in some way, perhaps into a folder."""


async def by_download(client: ComputeClient, job_id: str, folder: Path) -> bytes:
    return (await client.download_job_file(job_id, FILE, folder / "file")).read_bytes()


async def by_reading(client: ComputeClient, job_id: str, _folder: Path) -> bytes:
    return await client.read_job_file(job_id, FILE)


async def by_downloading_many(client: ComputeClient, job_id: str, folder: Path) -> bytes:
    paths = await client.download_job_files(job_id, [FILE], folder, relative_to="input")
    return paths[0].read_bytes()


FETCHES = pytest.mark.parametrize("fetch", [by_download, by_reading, by_downloading_many])


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    with LocalServer(workers=1) as running:
        yield running


@pytest.fixture
async def proxy(server: LocalServer) -> AsyncGenerator[FaultProxy]:
    async with FaultProxy(server) as running:
        yield running


@pytest.fixture(scope="module")
def job_id(server: LocalServer) -> str:
    """A job whose folder holds a large file."""

    async def submit() -> str:
        async with server.client() as client:
            return (await client.hash.compute(CONTENT, wait=True)).job_id

    return asyncio.run(submit())


def read_limit(error: type[Exception]) -> float:
    """Seconds for a read: few only where they are to be over."""
    return FACTOR if error is RequestTimeoutError else SECONDS


@FETCHES
@pytest.mark.parametrize(("fault", "error", "words"), ON_DOWNLOADS)
async def test_a_fault_without_retries(
    *,
    fetch: Fetch,
    fault: Fault,
    error: type[Exception],
    words: str,
    proxy: FaultProxy,
    job_id: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_bytes(b"an earlier one")
    async with proxy.client(max_retries=0, timeout=read_limit(error)) as client:
        proxy.plan(fault)
        with pytest.raises((error, JobFilesError), match=words) as caught:
            await fetch(client, job_id, tmp_path)
        if isinstance(caught.value, JobFilesError):
            assert [type(failure) for failure in caught.value.failures.values()] == [error]
        assert names(tmp_path) == ["file"]
        assert (tmp_path / "file").read_bytes() == b"an earlier one"
        assert await fetch(client, job_id, tmp_path) == CONTENT
    assert names(tmp_path) == ["file"]
    assert len(proxy.requests) == 2


@FETCHES
@pytest.mark.parametrize(("fault", "error", "_words"), ON_DOWNLOADS[:-1])
async def test_a_fault_that_goes_by_is_not_noticed(
    *,
    fetch: Fetch,
    fault: Fault,
    error: type[Exception],
    _words: str,
    proxy: FaultProxy,
    job_id: str,
    tmp_path: Path,
) -> None:
    async with proxy.client(timeout=read_limit(error)) as client:
        proxy.plan(fault)
        assert await fetch(client, job_id, tmp_path) == CONTENT
    assert names(tmp_path) in ([], ["file"])
    # Where all had come but the announced end, a third one, as there is nothing to go on with.
    assert len(proxy.requests) in {2, 3}


async def test_a_download_goes_on_where_it_broke_off(proxy: FaultProxy, job_id: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with proxy.client() as client:
        proxy.plan(cut(after=HALF))
        proxy.plan(BUSY)
        path = await client.download_job_file(
            job_id, FILE, tmp_path / "file", on_progress=lambda done, total: seen.append((done, total))
        )
    assert path.read_bytes() == CONTENT
    starts = [re.search(rb"\r\nRange: bytes=(\d+)-\r\n", request) for request in proxy.requests]
    assert starts[0] is None
    assert [0 < int(start[1]) < HALF for start in starts[1:] if start] == [True, True]
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))


@FETCHES
async def test_a_download_that_is_cancelled(
    fetch: Fetch, proxy: FaultProxy, job_id: str, tmp_path: Path
) -> None:
    async with proxy.client() as client:
        stall = Stall(after=HALF)
        proxy.plan(stall)
        fetching = asyncio.ensure_future(fetch(client, job_id, tmp_path))
        await soon(stall.reached())
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        assert names(tmp_path) == []
        assert await fetch(client, job_id, tmp_path) == CONTENT


@FETCHES
async def test_a_download_that_stalls_for_a_while(
    fetch: Fetch, proxy: FaultProxy, job_id: str, tmp_path: Path
) -> None:
    async with proxy.client() as client:
        stall = Stall(after=HALF)
        proxy.plan(stall)
        fetching = asyncio.ensure_future(fetch(client, job_id, tmp_path))
        await soon(stall.reached())
        assert "file" not in names(tmp_path)
        stall.release()
        assert await fetching == CONTENT
    assert len(proxy.requests) == 1


@FETCHES
async def test_what_follows_a_file_is_not_taken_for_the_next_answer(
    *, fetch: Fetch, proxy: FaultProxy, server: LocalServer, tmp_path: Path
) -> None:
    rest = b"\0no answer"
    async with server.client() as client:
        job = await client.hash.compute(b"what was announced" + rest)
    async with proxy.client() as client:
        proxy.plan(misstate_length(by=-len(rest)))
        assert await fetch(client, job.job_id, tmp_path) == b"what was announced"
        assert await fetch(client, job.job_id, tmp_path) == b"what was announced" + rest


async def test_answers_that_come_byte_by_byte(proxy: FaultProxy, tmp_path: Path) -> None:
    async with proxy.client() as client:
        proxy.plan(trickle, times=4)
        job = await client.hash.compute(b"x")
        assert (await client.get_job(job.job_id)).job_id == job.job_id
        assert await client.read_job_file(job.job_id, FILE) == b"x"
        assert (await client.download_job_file(job.job_id, FILE, tmp_path / "x")).read_bytes() == b"x"


@pytest.mark.parametrize(("fault", "error", "words"), ON_UPLOADS)
async def test_an_upload_is_sent_once(
    fault: Fault, error: type[Exception], words: str, proxy: FaultProxy
) -> None:
    async with proxy.client(timeout=read_limit(error)) as client:
        proxy.plan(fault)
        with pytest.raises(error, match=words):
            await client.hash.compute(CONTENT)
        assert len(proxy.requests) == 1
        assert await by_reading(client, (await client.hash.compute(CONTENT)).job_id, Path()) == CONTENT


async def test_an_upload_that_was_not_taken_is_sent_again(proxy: FaultProxy) -> None:
    async with proxy.client() as client:
        proxy.plan(BUSY, times=3)
        job = await client.hash.compute(CONTENT)
        assert len(proxy.requests) == 4
        assert await client.read_job_file(job.job_id, FILE) == CONTENT


async def test_an_upload_that_is_cancelled(proxy: FaultProxy) -> None:
    async with proxy.client() as client:
        stall = Stall(after=0)
        proxy.plan(stall)
        submitting = asyncio.ensure_future(client.hash.compute(CONTENT))
        await soon(stall.reached())
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        assert (await client.hash.compute(CONTENT)).status == "queued"


class Renewing(AuthProvider):
    """Has one token more."""

    def __init__(self) -> None:
        self._token = "old"

    @override
    def get_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    @override
    async def refresh_token(self) -> None:
        self._token = "new"


async def test_an_upload_that_is_refused_early_is_sent_again_with_a_new_token(proxy: FaultProxy) -> None:
    settings = proxy.client().config
    async with ComputeClient(config=settings, auth_provider=Renewing()) as client:
        proxy.plan(refuse(response=http_response("401 Unauthorized", '{"detail": "JWT token has expired"}')))
        job = await client.hash.compute(CONTENT)
        assert await client.read_job_file(job.job_id, FILE) == CONTENT
    assert [b"Bearer old" in request for request in proxy.requests] == [True, False, False]


async def test_a_server_that_takes_no_large_uploads(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(CONTENT * 10)
    with LocalServer(workers=1, max_upload_bytes=1_000_000) as server:
        async with server.client() as client:
            for source in (large, CONTENT * 10):
                with pytest.raises(InvalidRequestError, match="larger than 1000000 bytes"):
                    await client.hash.compute(source)
            assert (await client.hash.compute(b"small", wait=True)).status == "completed"
