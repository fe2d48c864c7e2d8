"""A server that sends files badly: no partial result reaches the caller, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, InvalidResponseError, JobFilesError, ServerUnavailableError
from support import port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"


@contextlib.asynccontextmanager
async def serving(
    replies: Mapping[str, bytes | None], asked: asyncio.Queue[str]
) -> AsyncGenerator[ComputeClient]:
    """A server that answers so for each file and then hangs up, or never with None; and a client of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            name = head.split(b" ")[1].rpartition(b"/")[2].decode()
            asked.put_nowait(name)
            reply = replies[name]
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{port_of(server.sockets[0])}"
        async with ComputeClient(address, mqtt_broker="off") as client:
            yield client


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nonly this", None, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nonly thi", ServerUnavailableError, "broke"),
        (CHUNKED + b"5\r\nhello\r\n", ServerUnavailableError, "broke"),
        (CHUNKED + b"6\r\nlonger\r\n6\r\nlonger\r\n0\r\n\r\n", InvalidResponseError, "limit of 9 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", InvalidResponseError, "limit of 9 bytes"),
    ],
)
async def test_reading_a_file(reply: bytes, error: type[Exception] | None, reason: str) -> None:
    async with serving({"file": reply}, asyncio.Queue()) as client:
        if error is None:
            assert await client.read_job_file("j", "output/file", max_bytes=9) == b"only this"
        else:
            with pytest.raises(error, match=reason):
                await client.read_job_file("j", "output/file", max_bytes=9)


async def test_one_cut_file_of_many(tmp_path: Path) -> None:
    replies = {"a": WHOLE, "b": WHOLE[:-1], "c": b"HTTP/1.1 500 Oops\r\n\r\n"}
    async with serving(replies, asyncio.Queue()) as client:
        with pytest.raises(JobFilesError, match="Files of job j could not be downloaded") as caught:
            await client.download_job_files("j", replies, tmp_path / "new")
    assert caught.value.failures.keys() == {"b", "c"}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_cancelling_many_files(tmp_path: Path) -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()
    async with serving({"a": WHOLE, "b": None}, asked) as client:
        downloading = asyncio.ensure_future(
            client.download_job_files("j", ["a", "b"], tmp_path / "new", concurrency=2)
        )
        assert {await asyncio.wait_for(asked.get(), 20) for _ in range(2)} == {"a", "b"}
        downloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await downloading
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["new"])
