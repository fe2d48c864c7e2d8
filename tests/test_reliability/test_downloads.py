"""Downloads that go on after a break, are resumed, are kept from replacing a file, or end in time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from cl_client import ComputeClient, ComputeClientConfig, RequestTimeoutError, ServerUnavailableError
from cl_client._transfers.partial_file import PartialFile
from cl_client.exceptions import (
    DestinationExistsError,
    FileWriteError,
    InvalidRequestError,
    InvalidResponseError,
    JobFilesError,
)
from cl_client.testing import StubServer, http_response
from counting_pool import CountingPool
from patience import BRIEF, SECONDS, soon
from support import port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from cl_client._transfers.progress import FilesProgress

CONTENT = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(100_000))


@dataclass
class FileServer:
    """Serves one content under any path, and hangs up where it is told to."""

    content: bytes = CONTENT
    tag: str | None = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list[int])
    """How many bytes of the body each answer has before it breaks off; whole ones afterwards."""
    stalls: bool = False
    asked: list[str] = field(default_factory=list[str])
    """The range of each request, empty where it asks for everything."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            wanted = next((line[13:] for line in head if line.lower().startswith("range: bytes=")), "")
            self.asked.append(wanted)
            start = int(wanted.rstrip("-")) if wanted and self.ranges else 0
            writer.write(self._head(start, partly=bool(wanted) and self.ranges))
            cut = self.cuts.pop(0) if self.cuts else len(self.content)
            writer.write(self.content[start : start + cut])
            await writer.drain()
            if self.stalls:
                await reader.read()
        writer.close()

    def _head(self, start: int, *, partly: bool) -> bytes:
        whole = len(self.content)
        if partly and start >= whole:
            return f"HTTP/1.1 416 No\r\nContent-Range: bytes */{whole}\r\nContent-Length: 0\r\n\r\n".encode()
        lines = ["HTTP/1.1 206 Partial" if partly else "HTTP/1.1 200 OK", f"Content-Length: {whole - start}"]
        if partly:
            lines.append(f"Content-Range: bytes {start}-{whole - 1}/{whole}")
        if self.tag is not None:
            lines.append(f"ETag: {self.tag}")
        return "\r\n".join([*lines, "", ""]).encode()

    @contextlib.asynccontextmanager
    async def client(self, **settings: object) -> AsyncGenerator[ComputeClient]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{port_of(server.sockets[0])}"
        config = ComputeClientConfig.create(base_url=address, mqtt_broker="off", **settings)
        async with server, ComputeClient(config=config) as client:
            yield client


def appear(target: Path) -> None:
    target.write_bytes(b"mine")


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("prepared", "asked"),
    [
        (FileServer(cuts=[1_500_000, 100_000]), ["", "1500000-", "1600000-"]),
        (FileServer(cuts=[1_500_000], ranges=False), ["", "1500000-"]),
        (FileServer(cuts=[1_500_000], tag=None), ["", ""]),
        (FileServer(cuts=[1_500_000], tag='W/"weak"'), ["", ""]),
        (FileServer(cuts=[0]), ["", ""]),
    ],
    ids=["goes on", "server without ranges", "no version", "weak version", "nothing came"],
)
async def test_a_download_goes_on_after_a_break(
    tmp_path: Path, prepared: FileServer, asked: list[str]
) -> None:
    server = deepcopy(prepared)  # it changes, and the test may run twice in a process
    told: list[int] = []
    async with server.client() as client:
        path = await client.download_job_file(
            "j",
            "output/a.bin",
            tmp_path,
            on_progress=lambda done, total: told.append(done * (total == 3_200_000)),
        )
    assert path.read_bytes() == CONTENT
    assert server.asked == asked
    assert told[-1] == len(CONTENT)
    assert hidden(tmp_path) == []


async def test_a_link_that_breaks_again_and_again_but_gets_on(tmp_path: Path) -> None:
    server = FileServer(cuts=[320_000] * 10)
    async with server.client(max_retries=1) as client:
        path = await client.download_job_file("j", "a.bin", tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 10


async def test_a_link_that_does_not_get_on_is_given_up(tmp_path: Path) -> None:
    server = FileServer(cuts=[1_000_000, 500_000, 0, 0, 0])
    async with server.client(max_retries=2) as client:
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await client.download_job_file("j", "a.bin", tmp_path)
    assert server.asked == ["", "1000000-", "1500000-", "1500000-"]
    shrinking = FileServer(tag=None, cuts=[1_000_000, 900_000, 800_000, 700_000])
    async with shrinking.client(max_retries=2) as client:
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await client.download_job_file("j", "a.bin", tmp_path)
    assert len(shrinking.asked) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            http_response("206 Partial", "abc", "Content-Range: bytes 0-2/3\r\n"),
            "answered 206 Partial instead of",
        ),
        (
            http_response("206 Partial", "abc", "Content-Range: bytes 5-7/8\r\n"),
            "answered 206 Partial instead of",
        ),
        (http_response("202 Accepted", "soon"), "answered 202 Accepted instead of"),
        (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "answered 204 No Content instead of"),
        (http_response("200 OK", "abc", "Content-Encoding: zstd\r\n"), "unsupported Content-Encoding 'zstd'"),
        (
            http_response("200 OK", "abc", "Content-Encoding: gzip, x-mine\r\n"),
            "Content-Encoding 'gzip, x-mine'",
        ),
    ],
)
async def test_what_is_not_the_file_is_not_saved_as_such(tmp_path: Path, reply: bytes, reason: str) -> None:
    async with StubServer(reply).running(max_retries=0) as client:
        with pytest.raises(InvalidResponseError, match=reason):
            await client.download_job_file("j", "a.bin", tmp_path)
        with pytest.raises(InvalidResponseError, match=reason):
            await client.read_job_file("j", "a.bin")
        with pytest.raises(InvalidResponseError, match=reason):
            async with client.open_job_file("j", "a.bin"):
                pass
    assert list(tmp_path.iterdir()) == []


async def test_a_refused_range_that_was_not_asked_for_is_an_error(tmp_path: Path) -> None:
    async with StubServer(http_response("416 No", '{"detail": "not satisfiable"}')).running() as client:
        with pytest.raises(InvalidRequestError, match="not satisfiable"):
            await client.download_job_file("j", "a.bin", tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_compressed_file_is_decoded_although_nobody_asked(tmp_path: Path) -> None:
    reply = http_response("200 OK", gzip.compress(b"hello"), "Content-Encoding: gzip\r\n")
    async with StubServer(reply).running() as client:
        path = await client.download_job_file("j", "a.bin", tmp_path)
        assert await client.read_job_file("j", "a.bin") == path.read_bytes() == b"hello"


def compressed(encoding: str, body: bytes) -> bytes:
    """An answer of no announced length: the connection's end is its own."""
    return f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: {encoding}\r\n\r\n".encode() + body


RAW_DEFLATE = zlib.compress(CONTENT)[2:-4]


@pytest.mark.parametrize(
    "reply",
    [
        compressed("gzip", gzip.compress(CONTENT)[:-50_000]),
        compressed("gzip", gzip.compress(CONTENT)[:-1]),
        compressed("gzip", gzip.compress(CONTENT[:100]) + gzip.compress(CONTENT[100:])),
        compressed("gzip", b""),
        compressed("deflate", zlib.compress(CONTENT)[:-50_000]),
        compressed("deflate", RAW_DEFLATE[:-50_000]),
        compressed("gzip, deflate", zlib.compress(gzip.compress(CONTENT)[:-50_000])),
        compressed("gzip, deflate", zlib.compress(gzip.compress(CONTENT))[:-50_000]),
    ],
    ids=["gzip", "all but its end", "two in one", "nothing", "deflate", "raw deflate", "inner", "outer"],
)
async def test_a_compressed_file_that_is_cut_is_not_taken_for_whole(tmp_path: Path, reply: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    async with StubServer(reply).running(max_retries=0) as client:
        with pytest.raises(InvalidResponseError, match="compressed body is incomplete"):
            await client.download_job_file("j", "a.bin", tmp_path)
        with pytest.raises(InvalidResponseError, match="compressed body is incomplete"):
            await client.read_job_file("j", "a.bin")
        with pytest.raises(InvalidResponseError, match="compressed body is incomplete"):
            async with client.open_job_file("j", "a.bin") as stream:
                _ = [chunk async for chunk in stream]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"old")]


@pytest.mark.parametrize(
    ("reply", "content"),
    [
        (compressed("gzip", gzip.compress(CONTENT)), CONTENT),
        (compressed("deflate", zlib.compress(CONTENT)), CONTENT),
        (compressed("deflate", RAW_DEFLATE), CONTENT),
        (compressed("gzip, deflate", zlib.compress(gzip.compress(CONTENT))), CONTENT),
        (http_response("200 OK", "", "Content-Encoding: gzip\r\n"), b""),
    ],
)
async def test_a_compressed_file_that_is_whole(tmp_path: Path, reply: bytes, content: bytes) -> None:
    async with StubServer(reply).running(max_retries=0) as client:
        path = await client.download_job_file("j", "a.bin", tmp_path)
        assert await client.read_job_file("j", "a.bin") == path.read_bytes() == content
        async with client.open_job_file("j", "a.bin") as stream:
            assert b"".join([chunk async for chunk in stream]) == content


async def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    server = FileServer(cuts=[1_500_000])
    async with server.client(max_retries=0) as client:
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await client.download_job_file("j", "a.bin", tmp_path / "a.bin", resume=True)
        server.content, server.tag = CONTENT[::-1], '"two"'
        await client.download_job_file("j", "a.bin", tmp_path / "a.bin", resume=True)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]
    assert server.asked == ["", "1500000-", ""]
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("stopped_by", ["break", "cancel", "timeout"])
async def test_resuming(tmp_path: Path, stopped_by: str) -> None:
    server = FileServer(cuts=[1_500_000], stalls=stopped_by != "break")
    arrived = asyncio.Event()
    async with server.client(max_retries=0) as client:

        def progress(done: int, _total: int | None) -> None:
            if done >= 1 << 20:
                arrived.set()

        call = asyncio.ensure_future(
            client.download_job_file(
                "j",
                "a.bin",
                tmp_path / "new" / "a.bin",
                resume=True,
                on_progress=progress,
                timeout=BRIEF if stopped_by == "timeout" else None,
            )
        )
        await soon(arrived.wait())
        if stopped_by == "cancel":
            call.cancel()
        with pytest.raises((ServerUnavailableError, RequestTimeoutError, asyncio.CancelledError)):
            await call
        assert len(hidden(tmp_path / "new")) == 1
        server.stalls = False
        assert (
            await client.download_job_file("j", "a.bin", tmp_path / "new/a.bin", resume=True)
        ).read_bytes() == CONTENT
    assert [asked.rstrip("-").isdecimal() for asked in server.asked] == [False, True]
    assert hidden(tmp_path / "new") == []


async def test_what_is_kept_is_for_the_same_file_only(tmp_path: Path) -> None:
    server = FileServer(cuts=[1_500_000])
    async with server.client(max_retries=0) as client:
        with pytest.raises(ServerUnavailableError):
            await client.download_job_file("j", "a.bin", tmp_path, resume=True)
        await client.download_job_file("another", "a.bin", tmp_path, resume=True)
        await client.download_job_file("j", "a.bin", tmp_path / "b.bin", resume=True)
        await client.download_job_file("j", "a.bin", tmp_path)
    assert server.asked == ["", "", "", ""]


async def test_two_at_once_do_not_write_into_one_file(tmp_path: Path) -> None:
    server = FileServer(cuts=[1_500_000])
    async with server.client() as client:
        paths = await asyncio.gather(
            *(client.download_job_file("j", "a.bin", tmp_path, resume=True) for _ in range(8))
        )
    assert {path.read_bytes() == CONTENT for path in paths} == {True}
    assert hidden(tmp_path) == []


async def test_a_partial_file_that_has_everything_already(tmp_path: Path) -> None:
    server = FileServer()
    async with server.client() as client:
        target = tmp_path / "a.bin"
        target.mkdir()
        part = PartialFile(target, f"{client.config.base_url}/jobs/j/files/a.bin")
        part.start(f'"one" {len(CONTENT)}')
        part.write(CONTENT)
        part.close()
        target.rmdir()
        await client.download_job_file("j", "a.bin", target, resume=True)
    assert server.asked == ["3200000-", ""]
    assert target.read_bytes() == CONTENT
    assert hidden(tmp_path) == []


async def test_a_file_that_is_there_can_be_protected(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"mine")
    server = FileServer()
    async with server.client() as client:
        with pytest.raises(DestinationExistsError, match="overwrite=True") as caught:
            await client.download_job_file("j", "a.bin", tmp_path, overwrite=False)
        with pytest.raises(DestinationExistsError):
            await client.download_job_files("j", ["b.bin", "a.bin"], tmp_path, overwrite=False)
        assert server.asked == []
        assert (caught.value.path, isinstance(caught.value, FileExistsError)) == (target, True)
        created = await client.download_job_file("j", "a.bin", tmp_path / "b.bin", overwrite=False)
    assert (target.read_bytes(), created.read_bytes()) == (b"mine", CONTENT)
    assert hidden(tmp_path) == []


async def test_a_file_that_appears_while_it_is_downloaded_is_protected_too(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    async with FileServer().client() as client:
        with pytest.raises(DestinationExistsError):
            await client.download_job_file(
                "j",
                "a.bin",
                target,
                overwrite=False,
                on_progress=lambda _done, _total: appear(target),
            )
    assert target.read_bytes() == b"mine"
    assert hidden(tmp_path) == []


async def test_a_file_that_appears_while_several_are_downloaded_is_protected_too(tmp_path: Path) -> None:
    target = tmp_path / "b.bin"
    async with FileServer().client() as client:
        with pytest.raises(DestinationExistsError) as caught:
            await client.download_job_files(
                "j", ["a.bin", "b.bin"], tmp_path, overwrite=False, on_progress=lambda _state: appear(target)
            )
    assert caught.value.path == target
    assert [path.name for path in tmp_path.iterdir()] == ["b.bin"]
    assert target.read_bytes() == b"mine"


async def test_an_overall_limit_holds_for_a_server_that_drips(tmp_path: Path) -> None:
    async with FileServer(cuts=[10, 10], stalls=True).client() as client:
        with pytest.raises(RequestTimeoutError, match=r"Downloading a\.bin timed out after 0\.2 s"):
            await client.download_job_file("j", "a.bin", tmp_path, timeout=0.2)
        with pytest.raises(RequestTimeoutError, match=r"Reading a\.bin"):
            await client.read_job_file("j", "a.bin", timeout=0.2)
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("size", [0, 1, 10_000])
async def test_a_small_file_takes_two_calls_in_threads(tmp_path: Path, size: int) -> None:
    server, told = FileServer(CONTENT[:size]), list[int]()
    with CountingPool(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        async with server.client() as client:
            calls = pool.calls
            path = await client.download_job_file(
                "j", "a.bin", tmp_path, on_progress=lambda done, _total: told.append(done)
            )
            assert pool.calls - calls == 2
    assert path.read_bytes() == CONTENT[:size]
    assert told == ([size] if size else [])
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("resume", [False, True])
async def test_a_small_file_that_breaks_off_goes_on(tmp_path: Path, *, resume: bool) -> None:
    server = FileServer(CONTENT[:1000], cuts=[300, 0, 600, 50])
    async with server.client(max_retries=2) as client:
        path = await client.download_job_file("j", "a.bin", tmp_path, resume=resume)
    assert path.read_bytes() == CONTENT[:1000]
    assert server.asked == ["", "300-", "300-", "900-", "950-"]
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_folder_that_cannot_be_written(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    async with FileServer(CONTENT[:size]).client() as client:
        with pytest.raises(FileWriteError):
            await client.download_job_file("j", "a.bin", tmp_path / "file" / "a.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


async def test_a_small_file_that_is_cancelled_twice_while_it_is_written(tmp_path: Path) -> None:
    gate, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def occupy(_done: int, _total: int | None) -> None:
        pool.submit(gate.wait, SECONDS)
        begun.set()

    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        async with FileServer(CONTENT[:1000]).client() as client:
            call = asyncio.ensure_future(client.download_job_file("j", "a.bin", tmp_path, on_progress=occupy))
            await soon(begun.wait())
            for _ in range(2):
                call.cancel()
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not call.done()  # writing waits for a thread, and the call for writing
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await call
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", CONTENT[:1000])]


async def test_a_stream_of_chunks() -> None:
    server = FileServer(cuts=[len(CONTENT), len(CONTENT), 1000])
    async with server.client() as client:
        async with client.open_job_file("j", "output/a.bin") as stream:
            assert (stream.path, stream.size) == ("output/a.bin", len(CONTENT))
            assert b"".join([chunk async for chunk in stream]) == CONTENT
        async with client.open_job_file("j", "output/a.bin") as stream:
            async for chunk in stream:
                assert len(chunk) == 1 << 20
                break  # leaves nothing behind
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            async with client.open_job_file("j", "output/a.bin") as stream:
                assert len([chunk async for chunk in stream]) == 0


async def test_what_the_reader_of_a_stream_meets_elsewhere_is_not_of_this_server(unused_port: int) -> None:
    elsewhere = f"http://127.0.0.1:{unused_port}/"
    async with FileServer().client() as client, httpx.AsyncClient() as other:
        with pytest.raises(httpx.ConnectError) as caught:
            async with client.open_job_file("j", "a.bin"):
                await other.get(elsewhere)
    assert not isinstance(caught.value, ServerUnavailableError)
    assert caught.value.request.url == elsewhere
    async with FileServer().client() as client:
        with pytest.raises(httpx.DecodingError, match="elsewhere"):
            async with client.open_job_file("j", "a.bin"):
                raise httpx.DecodingError("elsewhere")


async def test_a_stream_that_breaks_says_so_where_it_is_read() -> None:
    async with FileServer(cuts=[1000]).client() as client, client.open_job_file("j", "a.bin") as stream:
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await anext(stream)
    reply = http_response("200 OK", b"no gzip", "Content-Encoding: gzip\r\n")
    async with StubServer(reply).running() as client, client.open_job_file("j", "a.bin") as stream:
        with pytest.raises(InvalidResponseError, match="cannot be decoded"):
            await anext(stream)


async def test_progress_of_several_files(tmp_path: Path) -> None:
    told: list[FilesProgress] = []
    async with FileServer().client() as client:
        paths = await client.download_job_files("j", ["a", "b/c", "d"], tmp_path, on_progress=told.append)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["a", "b/c", "d"]
    last = told[-1]
    assert (last.files_done, last.files_total) == (3, 3)
    assert last.bytes_done == last.bytes_total == 3 * len(CONTENT)
    assert [p.bytes_done for p in told] == sorted(p.bytes_done for p in told)
    assert {(p.file_done, p.file_total) for p in told if p.file == "b/c"} >= {(3_200_000, 3_200_000)}


async def test_several_files_where_one_has_no_place(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    server = FileServer()
    async with server.client() as client:
        with pytest.raises(FileWriteError, match="it is an existing folder"):
            await client.download_job_files("j", ["a", "b"], tmp_path)
        assert server.asked == []
        (tmp_path / "c").write_bytes(b"in the way of a folder")
        with pytest.raises(JobFilesError, match=r"Not a directory|File exists"):
            await client.download_job_files("j", ["a", "c/d"], tmp_path)
    assert hidden(tmp_path) == []


async def test_a_body_longer_than_announced_is_cut_by_http_itself(tmp_path: Path) -> None:
    server = FileServer(content=CONTENT)
    async with server.client() as client:
        with pytest.raises(InvalidResponseError, match="limit of 10 bytes"):
            await client.read_job_file("j", "a", max_bytes=10)
        assert await client.read_job_file("j", "a", max_bytes=len(CONTENT)) == CONTENT
    assert hidden(tmp_path) == []
