"""httpx's pitfalls, each with a test that would catch it; one client on two loops is in test_following.py."""

from __future__ import annotations

import asyncio
import io
import ssl
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client import InvalidResponseError, RequestTimeoutError, ServerUnavailableError
from cl_client.local import LocalServer
from cl_client.options import UploadStream
from cl_client.testing import Exchange, FaultProxy, StubServer, http_response
from patience import BRIEF, SECONDS, eventually, within
from support import Heart, TLSFiles, client_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from cl_client.options import FileSource

CONTENT = bytes(range(256)) * 8192
"""2 MiB: two blocks of an upload."""


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    with LocalServer(workers=1) as running:
        yield running


async def test_cancelled_calls_do_not_use_up_the_pool(server: LocalServer) -> None:
    # Longer than the test may take: none of its calls may be waiting for a connection that was lost.
    async with client_of(server, mqtt_broker="off", pool_maxsize=4, pool_size=4, timeout=SECONDS) as client:
        job_id = (await client.hash.compute(CONTENT)).job_id

        def begin(count: int) -> list[asyncio.Task[bytes]]:
            return [asyncio.create_task(client.read_job_file(job_id, "input/file")) for _ in range(count)]

        cancelled = 0
        for age in range(50):
            for _ in range(4):
                calls = begin(20)
                # A connection is lost only when its call is cancelled at a certain step: each gets its turn.
                for _ in range(age):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
                cancelled += sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert cancelled > 3500
        async with within():
            assert await asyncio.gather(*begin(100)) == [CONTENT] * 100


# asyncio complains of the connection that could not be closed any more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_goes_on_after_a_loop_that_ended_without_closing_it(server: LocalServer) -> None:
    client = client_of(server, mqtt_broker="off")

    async def use() -> str:
        return (await client.health()).status

    async def use_and_close() -> str:
        async with client:
            return await use()

    assert [asyncio.run(use()), asyncio.run(use_and_close())] == ["healthy", "healthy"]


async def chunks() -> AsyncGenerator[bytes]:
    for start in range(0, len(CONTENT), 100_000):
        yield CONTENT[start : start + 100_000]


@pytest.mark.parametrize(
    "source",
    [
        CONTENT,
        io.BytesIO(CONTENT),
        UploadStream(chunks(), "a.bin"),
        UploadStream(chunks, "a.bin", size=len(CONTENT)),
    ],
    ids=["bytes", "open file", "generator", "function of known size"],
)
async def test_every_kind_of_file_is_sent_whole(server: LocalServer, source: FileSource) -> None:
    async with client_of(server, mqtt_broker="off") as client:
        job = await client.get_job((await client.hash.compute(source)).job_id)
        assert await client.read_job_file(job.job_id, str(job.params["input_path"])) == CONTENT


class SlowFile(io.BytesIO):
    """A file on a slow disk: whatever is done with it takes 0.2 s, during which a heart is to beat."""

    def __init__(self, content: bytes, heart: Heart) -> None:
        super().__init__(content)
        self._heart = heart
        self.beats: list[int] = []

    def _take_time(self) -> None:
        before = self._heart.beats
        eventually(lambda: self._heart.beats >= before + 5)
        self.beats.append(self._heart.beats - before)

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        self._take_time()
        return super().read(size)

    @override
    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._take_time()
        return super().seek(offset, whence)


async def test_a_slow_file_does_not_hold_up_the_loop(server: LocalServer) -> None:
    heart = Heart()
    file = SlowFile(CONTENT, heart)
    async with client_of(server, mqtt_broker="off") as client, heart.beating():
        await client.hash.compute(file)
    assert len(file.beats) >= 3
    assert min(file.beats) >= 5


async def drip(exchange: Exchange) -> None:
    """Send a byte now and then, for ever."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await exchange.send(b"x")
        await asyncio.sleep(0.05)


async def test_a_timeout_of_single_reads_does_not_end_a_server_that_drips(
    server: LocalServer, tmp_path: Path
) -> None:
    async with FaultProxy(server) as proxy, proxy.client(timeout=BRIEF, max_retries=0) as client:
        proxy.plan(drip, times=2)
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1.5 * BRIEF):
                await client.download_job_file("j", "a.bin", tmp_path)
        assert type(caught.value) is TimeoutError  # the caller's own, and none of a request
        with pytest.raises(RequestTimeoutError, match=r"Downloading a\.bin timed out after 0\.2 s"):
            await client.download_job_file("j", "a.bin", tmp_path, timeout=0.2)
    assert list(tmp_path.iterdir()) == []


async def test_a_cut_answer_of_no_announced_length_is_no_job() -> None:
    cut = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"job_id": "j", "task_type": "hash", "sta'
    async with StubServer(cut).running() as client:
        with pytest.raises(InvalidResponseError, match="not a valid JobResponse"):
            await client.get_job("j")


async def test_a_file_of_no_announced_length_ends_with_the_connection(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with StubServer(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nperhaps all").running() as client:
        path = await client.download_job_file(
            "j", "a.bin", tmp_path, on_progress=lambda done, total: seen.append((done, total))
        )
    assert path.read_bytes() == b"perhaps all"
    assert seen == [(11, None)]  # nobody can know whether there was more: the caller is told that


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[TLSFiles, TLSFiles]:
    """The one of the server, and another."""
    for name in ("server", "another"):
        (tmp_path / name).mkdir()
    return TLSFiles.make(tmp_path / "server"), TLSFiles.make(tmp_path / "another")


@pytest.mark.parametrize(
    ("in_environment", "in_config", "trusted"),
    [
        ("server", None, True),
        ("another", None, False),
        ("another", "server", True),
        ("server", "another", False),
    ],
)
async def test_the_authorities_that_are_trusted(
    *,
    in_environment: str,
    in_config: str | None,
    trusted: bool,
    authorities: tuple[TLSFiles, TLSFiles],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, another = authorities
    ca = {"server": server.ca, "another": another.ca, None: None}
    monkeypatch.setenv("SSL_CERT_FILE", str(ca[in_environment]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.server_cert, server.server_key)
    healthy = StubServer(http_response("200 OK", '{"status": "healthy", "service": "x", "version": "v1"}'))
    async with healthy.running(tls=context, ca_file=ca[in_config], max_retries=0) as client:
        if trusted:
            assert (await client.health()).status == "healthy"
        else:
            with pytest.raises(ServerUnavailableError, match=r"The certificate of .* is not trusted"):
                await client.health()
