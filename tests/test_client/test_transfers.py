"""Uploads and downloads against real sockets."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from cl_client.exceptions import InvalidParameterError
from cl_client.transfers import MultipartUpload, base_name

if TYPE_CHECKING:
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
    ],
)
def test_only_a_bare_name_goes_over_the_wire(name: str, bare: str) -> None:
    assert base_name(name) == bare


async def body(upload: MultipartUpload) -> bytes:
    return b"".join([block async for block in upload])


async def test_the_length_is_known_and_the_body_can_be_sent_again(tmp_path: Path) -> None:
    path = tmp_path / 'with "quotes".jpg'
    path.write_bytes(b"x" * 3_000_000)
    upload = await MultipartUpload.open({"priority": "5"}, path)
    first, second = await body(upload), await body(upload)
    assert first == second
    assert len(first) == int(upload.headers["Content-Length"])
    assert b'filename="with %22quotes%22.jpg"\r\nContent-Type: image/jpeg' in first


async def test_an_open_file_is_read_from_where_it_stands_and_left_open() -> None:
    file = io.BytesIO(b"skipped content")
    file.seek(8)
    upload = await MultipartUpload.open({}, file)
    assert b"\r\n\r\ncontent\r\n" in await body(upload)
    assert not file.closed


async def test_unusable_files_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    for source, reason in (
        (tmp_path / "missing.jpg", "cannot be read"),
        (str(tmp_path), "folder"),
        (empty, "empty"),
        (b"", "empty"),
    ):
        with pytest.raises(InvalidParameterError, match=reason):
            await MultipartUpload.open({}, source)


async def test_a_file_that_shrinks_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x" * 100)
    upload = await MultipartUpload.open({}, path)
    path.write_bytes(b"x" * 10)
    with pytest.raises(InvalidParameterError, match="shrank"):
        await body(upload)
