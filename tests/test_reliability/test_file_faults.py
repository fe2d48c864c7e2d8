"""A server that sends files badly: no partial result reaches the caller, and nothing is left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cl_client import InvalidResponseError, JobFilesError, ServerUnavailableError
from cl_client.testing import StubServer

if TYPE_CHECKING:
    from pathlib import Path

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nonly this", None, ""),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nonly thi",
            ServerUnavailableError,
            "Lost the connection",
        ),
        (CHUNKED + b"5\r\nhello\r\n", ServerUnavailableError, "Lost the connection"),
        (CHUNKED + b"6\r\nlonger\r\n6\r\nlonger\r\n0\r\n\r\n", InvalidResponseError, "limit of 9 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", InvalidResponseError, "limit of 9 bytes"),
    ],
)
async def test_reading_a_file(reply: bytes, error: type[Exception] | None, reason: str) -> None:
    async with StubServer(reply).running(max_retries=0) as client:
        if error is None:
            assert await client.read_job_file("j", "output/file", max_bytes=9) == b"only this"
        else:
            with pytest.raises(error, match=reason):
                await client.read_job_file("j", "output/file", max_bytes=9)


async def test_one_cut_file_of_many(tmp_path: Path) -> None:
    replies = {"a": WHOLE, "b": WHOLE[:-1], "c": b"HTTP/1.1 500 Oops\r\n\r\n"}
    async with StubServer(files=replies).running(max_retries=0) as client:
        with pytest.raises(JobFilesError, match="Files of job j could not be downloaded") as caught:
            await client.download_job_files("j", replies, tmp_path / "new")
    assert caught.value.failures.keys() == {"b", "c"}
    assert list(tmp_path.iterdir()) == []


async def test_cancelling_many_files(tmp_path: Path) -> None:
    server = StubServer(files={"a": WHOLE, "b": None})
    async with server.running() as client:
        downloading = asyncio.ensure_future(
            client.download_job_files("j", ["a", "b"], tmp_path / "new" / "deep", concurrency=2)
        )
        await server.received(2)
        downloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await downloading
    assert list(tmp_path.iterdir()) == []
