"""MIME types by content, whatever the name says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client._transfers.content_types import type_of_content, type_of_media
from cl_client._transfers.sources import open_source
from cl_client.options import UploadStream
from drawn_kinds import ROOMS, UNKNOWN, brands, no_media, videos

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

HEAD = 4096


@pytest.mark.parametrize("room", ROOMS)
def test_content_is_told(room: str) -> None:
    told = [(kind, type_of_content(kind.content[:HEAD])) for kind in ROOMS[room]()]
    assert {kind.name: found for kind, found in told if found not in kind.types} == {}


def test_what_is_no_media_has_no_signature() -> None:
    found = {kind.name: type_of_media(kind.content) for kind in no_media() if "ftyp" not in kind.name}
    assert {name: media_type for name, media_type in found.items() if media_type is not None} == {}


@pytest.mark.parametrize("size", [0, 1, 4, 7, 8, 11, 12, 15, 16, 23])
def test_a_head_that_is_cut(size: int) -> None:
    for kind in brands():
        found = type_of_media(kind.content[:size])
        assert found in {None, "video/mp4", "image/heif", "image/heif-sequence", *kind.types}


@pytest.fixture(scope="module")
def transport_stream() -> bytes:
    return next(kind.content for kind in videos() if kind.types == ("video/mp2t",))


@pytest.mark.parametrize("name", ["00000.mts", "00000.m2ts", "news.ts", "recording", "clip.mp4"])
async def test_a_transport_stream_by_any_name(tmp_path: Path, transport_stream: bytes, name: str) -> None:
    # In Debian's table of extensions, .mts is a 3D model, and .ts a translation.
    path = tmp_path / name
    path.write_bytes(transport_stream)
    assert (await open_source(path)).media_type == "video/mp2t"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("IMG_0001.JPG", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        ("photo.heic", b"\xff\xd8\xff\xe1\0\x10Exif", "image/jpeg"),
        ("photo.png", b"GIF89a\1\0\1\0", "image/gif"),
        ("scan.tiff", b"II*\0\x08\0\0\0", "image/tiff"),
        ("drawing.svg", b"<svg/>", "image/svg+xml"),
        ("photo.jpg.gz", b"\x1f\x8b\x08\0" + bytes(20), "application/x-gzip"),
        ("nameless", b"II*\0\x08\0\0\0", "image/tiff"),
        ("nameless", b"nothing that is known", UNKNOWN),
    ],
)
async def test_a_signature_counts_more_than_the_name(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        yield content

    path = tmp_path / name
    path.write_bytes(content)
    for source in (path, str(path), UploadStream(chunks(), name)):
        assert (await open_source(source)).media_type == expected
