"""Uploads and downloads against real sockets."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, cast

import anyio
import psutil
import pytest
from typing_extensions import override

from cl_client._transfers.multipart import MultipartUpload
from cl_client._transfers.names import base_name, shortened
from cl_client.exceptions import InvalidParameterError, RequestTimeoutError, UploadNotRepeatableError
from cl_client.options import UploadStream
from cl_client.testing import StubServer
from counting_pool import CountingPool
from patience import within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("..", "file"),
        ("", "file"),
        ("a\nb\0.jpg", "ab.jpg"),
        ("फूल.jpg", "फूल.jpg"),
        ("x" * 300 + ".jpg", "x" * 196 + ".jpg"),
        ("फू" * 100 + ".jpg", "फू" * 32 + "फ.jpg"),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("Xmas.jpgX", "Xmas.jpgX"),
    ],
)
def test_only_a_bare_name_goes_over_the_wire(name: str, bare: str) -> None:
    assert base_name(name) == bare


@pytest.mark.parametrize(
    ("name", "max_bytes", "short"),
    [
        ("ab .jpg", 7, "ab .jpg"),  # what is short enough stays as it is
        ("abcd. efghij.jpg", 10, "abcd.jpg"),
        ("x" * 12 + ".jpg", 12, "x" * 8 + ".jpg"),
        ("x" * 10 + ".abcd", 10, "x" * 10),  # an extension of half of the room is none
        ("x" * 11 + ".abcd", 11, "x" * 11),
        ("\ud800.jpg", 200, "?.jpg"),
        ("x" * 20 + ".\ud800", 10, "xxxxxxxx.?"),
    ],
)
def test_a_long_name_keeps_its_extension(name: str, max_bytes: int, short: str) -> None:
    assert shortened(name, max_bytes) == short


async def body(upload: MultipartUpload) -> bytes:
    return b"".join([block async for block in upload])


async def test_the_length_is_known_and_the_body_can_be_sent_again(tmp_path: Path) -> None:
    path = tmp_path / 'with "quotes".jpg'
    path.write_bytes(b"x" * 3_000_000)
    told: list[tuple[int, int | None]] = []
    async with MultipartUpload.opened(
        {"priority": "5"}, path, lambda done, total: told.append((done, total))
    ) as upload:
        first, second = await body(upload), await body(upload)
    assert first == second
    assert len(first) == int(upload.headers["Content-Length"])
    assert b'filename="with %22quotes%22.jpg"\r\nContent-Type: image/jpeg' in first
    assert told == [(done, 3_000_000) for done in (1 << 20, 2 << 20, 3_000_000)] * 2


async def test_every_byte_of_a_form() -> None:
    fields = {"a": "1", 'odd\r\n"name"': "é"}
    async with MultipartUpload.opened(
        fields, UploadStream(chunks_of(b"ab", b"c"), "x.png", size=3)
    ) as upload:
        kind, _, boundary = upload.headers["Content-Type"].partition("; boundary=")
        assert (kind, len(boundary)) == ("multipart/form-data", 32)
        sent = await body(upload)
    assert sent.decode() == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="odd%0D%0A%22name%22"\r\n\r\né\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n'
        f"Content-Type: image/png\r\n\r\nabc\r\n--{boundary}--\r\n"
    )
    assert upload.headers["Content-Length"] == str(len(sent))
    async with MultipartUpload.opened({}, b"abc") as other:
        assert boundary not in other.headers["Content-Type"]


async def test_how_far_an_upload_has_come() -> None:
    async with MultipartUpload.opened({}, UploadStream(lambda: chunks_of(b"ab", b"c"), "x")) as upload:
        assert (upload.sent, upload.whole) == (0, False)
        for _ in range(2):  # the second time all of it is sent again
            states = [(upload.sent, upload.whole) async for _ in upload]
            assert states == [(0, False), (0, False), (2, False), (3, True)]
            assert (upload.sent, upload.whole) == (3, True)


async def chunks_of(*chunks: bytes) -> AsyncGenerator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_an_open_file_is_read_from_where_it_stands_and_left_open() -> None:
    file = io.BytesIO(b"skipped content")
    file.seek(8)
    async with MultipartUpload.opened({}, file) as upload:
        for _ in range(2):
            assert b"\r\n\r\ncontent\r\n" in await body(upload)
    assert not file.closed


async def test_a_file_opened_here_is_closed_also_when_its_sending_stops_half_way(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x" * 3_000_000)
    async with MultipartUpload.opened({}, path) as upload:
        blocks = aiter(upload)
        assert [len(await anext(blocks)) for _ in range(2)][1] == 1 << 20
    assert str(path) not in {file.path for file in psutil.Process().open_files()}


async def test_a_small_file_takes_two_calls_in_threads(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff" + bytes(1000))
    with CountingPool(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        async with MultipartUpload.opened({}, path) as upload:
            assert pool.calls == 1
            for calls in (2, 3):  # the second time, it is sent again
                assert [block async for block in upload][1:-1] == [path.read_bytes()]
                assert pool.calls == calls
        assert pool.calls == 3


async def test_a_file_opened_here_is_closed_before_the_server_has_its_end(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x" * 3_000_000)
    async with MultipartUpload.opened({}, path) as upload:
        opened = [str(path) in {file.path for file in psutil.Process().open_files()} async for _ in upload]
    assert opened == [False, True, True, False, False]


async def test_a_file_that_can_be_read_only_in_pieces() -> None:
    class Pieces(io.BytesIO):
        @override
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(3, size or 0))

    async with MultipartUpload.opened({}, Pieces(b"a content")) as upload:
        assert [block async for block in upload][1:-1] == [b"a c", b"ont", b"ent"]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("photo.heic", b"whatever", b"image/heic"),
        ("photo", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(100), b"image/jpeg"),
        ("photo.part", b"\x89PNG\r\n\x1a\n" + bytes(100), b"image/png"),
        ("photo", b"nothing that is known", b"application/octet-stream"),
    ],
)
async def test_the_type_is_told_by_the_name_or_else_by_the_content(
    tmp_path: Path, name: str, content: bytes, kind: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    async with MultipartUpload.opened({}, path) as upload:
        assert b"\r\nContent-Type: " + kind + b"\r\n" in await body(upload)


async def test_unusable_files_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    as_text = empty.open(encoding="utf-8")
    asynchronous = await anyio.open_file(empty, "rb")
    for source, reason in (
        (tmp_path / "missing.jpg", "cannot be read: No such file"),
        (str(tmp_path), r"^'[^']*' is a folder"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path / "nul\0", "cannot be read: .*embedded null"),
        (empty, r"empty\.jpg: the file is empty"),
        (pipe, "is not a regular file"),
        (b"", "empty"),
        (cast("BinaryIO", as_text), "mode 'rb'"),
        (cast("BinaryIO", io.StringIO("text")), "mode 'rb'"),
        (cast("BinaryIO", 7), "is not an open binary file"),
        (UploadStream(chunks(), "a.jpg"), "empty"),
        (UploadStream(chunks(b""), "a.jpg"), "empty"),
        (UploadStream(chunks(b"x"), "a.jpg", size=0), "empty"),
        (UploadStream(cast("AsyncIterable[bytes]", chunks(cast("bytes", "x"))), "a.jpg"), "a chunk is str"),
        (
            UploadStream(cast("AsyncIterable[bytes]", iter([b"x"])), "a.jpg"),
            "not an async iterable",
        ),
        (UploadStream(lambda: cast("AsyncIterable[bytes]", [b"x"]), "a.jpg"), "the chunks are list, not"),
        (cast("BinaryIO", cast("object", asynchronous)), "asynchronous files are not supported"),
    ):
        with pytest.raises(InvalidParameterError, match=reason):
            async with MultipartUpload.opened({}, source):
                pass
    as_text.close()
    await asynchronous.aclose()


async def chunks(*parts: bytes) -> AsyncGenerator[bytes]:
    for part in parts:
        yield part


async def test_a_stream_of_unknown_length() -> None:
    source = UploadStream(chunks(b"", b"abc", b"", b"def"), "../a.jpg")
    async with MultipartUpload.opened({}, source) as upload:
        assert upload.headers["Transfer-Encoding"] == "chunked"
        assert b'filename="a.jpg"' in (sent := await body(upload))
        assert b"\r\n\r\nabcdef\r\n" in sent
        with pytest.raises(UploadNotRepeatableError, match="a function that returns the stream"):
            await body(upload)


async def test_a_stream_that_can_be_made_again() -> None:
    source = UploadStream(lambda: chunks(b"abc", b"def"), "a.jpg", size=6)
    async with MultipartUpload.opened({}, source) as upload:
        first, second = await body(upload), await body(upload)
    assert first == second
    assert len(first) == int(upload.headers["Content-Length"])


@pytest.mark.parametrize(("size", "reason"), [(5, "has more"), (7, "has only 6")])
async def test_a_stream_that_is_not_as_long_as_announced(size: int, reason: str) -> None:
    async with MultipartUpload.opened({}, UploadStream(chunks(b"abc", b"def"), "a", size)) as upload:
        with pytest.raises(InvalidParameterError, match=reason):
            await body(upload)


async def test_what_is_a_file_for_python_is_one_here(tmp_path: Path) -> None:
    """Type checkers agree."""
    archive, packed = tmp_path / "a.zip", tmp_path / "b.gz"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("c.txt", b"the content")
    packed.write_bytes(gzip.compress(b"the content"))
    with (
        tempfile.NamedTemporaryFile() as named,
        tempfile.SpooledTemporaryFile() as spooled,
        tempfile.TemporaryFile() as unnamed,
        zipfile.ZipFile(archive) as opened,
        opened.open("c.txt") as member,
        gzip.open(packed) as unpacked,
        subprocess.Popen(  # noqa: ASYNC220 - it ends at once
            [sys.executable, "-c", "print(end='the content')"], stdout=subprocess.PIPE
        ) as child,
    ):
        for file in (named, spooled, unnamed):
            file.write(b"the content")
            file.seek(0)
        assert child.stdout is not None
        for source in (named, spooled, unnamed, member, unpacked, child.stdout):
            async with MultipartUpload.opened({}, source) as upload:
                assert b"\r\n\r\nthe content\r\n" in await body(upload)


class FailingFile(io.BytesIO):
    """A file on a disk that fails behind its first MiB."""

    name = "file.bin"

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 1 << 20:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


class FailingPipe(FailingFile):
    @override
    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("kind", [FailingFile, FailingPipe])
async def test_a_disk_that_fails_while_a_file_is_sent(kind: type[FailingFile]) -> None:
    reason = r"file\.bin: the file can no longer be read: Input/output error"
    async with StubServer(None).running() as client:
        with pytest.raises(InvalidParameterError, match=reason):
            await client.hash.compute(kind(bytes(3 << 20)))


async def test_a_file_that_is_closed_while_it_is_sent() -> None:
    file = io.BytesIO(bytes(3 << 20))
    async with StubServer(None).running() as client:
        with pytest.raises(InvalidParameterError, match="can no longer be read: I/O operation on closed"):
            await client.hash.compute(file, on_upload=lambda _done, _total: file.close())


async def test_a_pipe_is_sent_as_a_stream() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(b"from a pipe")
    with os.fdopen(reading, "rb") as file:
        async with MultipartUpload.opened({}, file) as upload:
            assert b"\r\n\r\nfrom a pipe\r\n" in await body(upload)


async def test_a_file_that_only_behaves_like_a_pipe_is_sent_too() -> None:
    reading, writing = socket.socketpair()
    with reading, reading.makefile("rb") as file:
        with writing:
            writing.sendall(b"a line\nfrom a socket")
        assert file.readline() == b"a line\n"  # by which the rest has come, too
        async with MultipartUpload.opened({}, cast("BinaryIO", file)) as upload:
            assert b"\r\n\r\nfrom a socket\r\n" in await body(upload)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_silent_pipe_holds_up_nobody(begun: bool) -> None:  # noqa: FBT001 - a parametrised case
    reading, writing = os.pipe()
    async with StubServer(b"").running() as client:
        with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb", buffering=0) as end:
            if begun:
                end.write(b"some of it")
            async with within():
                with pytest.raises(RequestTimeoutError, match=r"0\.2 s"):
                    await client.hash.compute(file, timeout=0.2)
                file.close()  # which waits for whoever is still reading


class Silent(io.BytesIO):
    """Something of which a read begins, and does not end before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.gate = threading.Event()
        self._loop = asyncio.get_running_loop()

    @override
    def seekable(self) -> bool:
        return False

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        self._loop.call_soon_threadsafe(self.begun.set)
        self.gate.wait(20)
        return b""


async def test_what_never_returns_leaves_the_threads_of_the_loop_to_others() -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    file = Silent()
    async with StubServer(b"").running() as client, within():
        call = asyncio.create_task(client.hash.compute(file))
        await file.begun.wait()
        await loop.getaddrinfo("localhost", 80)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    file.gate.set()


def test_a_program_can_end_while_nothing_comes() -> None:
    code = (
        "import asyncio, sys\n"
        "from cl_client._core.threads import in_own_thread\n"
        "async def main():\n"
        "    async with asyncio.timeout(0.1):\n"
        "        await in_own_thread(sys.stdin.buffer.read, 10)\n"
        "try: asyncio.run(main())\n"
        "except TimeoutError: print('over')\n"
    )
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"over\n"
        assert process.wait(60) == 0


@pytest.mark.parametrize("content", [b"x" * 10, b"y" * 100, b"x" * 200])
async def test_a_file_that_changes_is_noticed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x" * 100)
    async with MultipartUpload.opened({}, path) as upload:
        path.write_bytes(content)
        os.utime(path, (1, 1))  # two writes may fall into one tick of the clock
        with pytest.raises(InvalidParameterError, match="changed during the upload"):
            await body(upload)


async def test_a_file_that_goes_away_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x" * 100)
    async with MultipartUpload.opened({}, path) as upload:
        path.unlink()
        with pytest.raises(InvalidParameterError, match="can no longer be read"):
            await body(upload)


async def test_a_progress_callback_that_raises_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_done: int, _total: int | None) -> None:
        raise RuntimeError("of the caller")

    async with MultipartUpload.opened({}, b"x" * 3_000_000, fail) as upload:
        assert len(await body(upload)) > 3_000_000
    assert caplog.text.count("progress callback raised") == 1
