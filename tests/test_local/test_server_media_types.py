"""Media types in the words of real servers, which ask libmagic."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import av
import pytest
from av.audio.frame import AudioFrame

from cl_client.local.tasks.hashing.server_media_types import server_media_type
from moving_clips import MovingClip
from pixel_files import FILES

if TYPE_CHECKING:
    from pathlib import Path

JSON_LINES: Final = b'{"a": 1}\n{"a": 2}\n'
CONTENTS: Final[list[tuple[bytes, str]]] = [
    (b"", "file"),
    (b"a", "file"),  # libmagic calls it very short
    (b"Buy milk\n", "text"),
    ("Grüße\n".encode(), "text"),
    ("\ufeffGrüße\n".encode(), "text"),
    ("Grüße\n".encode("latin-1"), "text"),
    ("日本語\n".encode("shift-jis"), "text"),
    ("\ufeffHello\n".encode("utf-16-le"), "text"),
    ("\ufeffHello\n".encode("utf-16-be"), "text"),
    (b"a\0b\n", "file"),
    (b"a\x7fb\n", "file"),
    (b"\x1b[31mred\x1b[0m\n", "text"),
    (b"a" * 64 * 1024 + b"\0", "text"),
    (b"a" * 60_000 + b"\0", "file"),
    (b"https://example.com/a.jpg", "url"),
    (b"  http://example.com/?q=a%20b \t", "url"),
    (b"https://example.com/a.jpg\n", "text"),
    (b"https://example.com/a b", "text"),
    (b"ftp://example.com/", "text"),
    (b'{"a": [1, 2]}\n', "file"),
    (b"[]", "file"),
    (JSON_LINES, "file"),
    (b"{'a': 1}\n", "text"),
    (b"[1,", "text"),
    (b"[" * 20_000, "text"),
    (b"12\n", "text"),
    (b"<!DOCTYPE html><html></html>\n", "text"),
    (b'<?xml version="1.0"?><a/>\n', "text"),
    (b"#EXTM3U\n", "text"),
    (b"%PDF-1.7\n", "file"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "file"),
    (b"PK\x03\x04" + bytes(60), "file"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "image"),
    (b"GIF89a", "image"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\x0a\xdd\x06" + bytes(60), "image"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image"),
    (b"SIMPLE  =                    T", "image"),
    (b"/* XPM */\nstatic char *a[] = {\n", "image"),
    (b"II*\0\x10\0\0\0CR\x02\0" + bytes(200), "image"),
    (b"IIU\0\x18\0\0\0" + bytes(200), "file"),  # Panasonic RW2
    (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(200), "file"),  # Canon CR3
    (b"DDS \x7c\0\0\0" + bytes(200), "file"),
    (b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60), "file"),
    (bytes(128) + b"DICM" + bytes(60), "file"),
    (b".snd\0\0\0\x18" + bytes(60), "audio"),
    (b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk" + bytes(20), "audio"),
]
X264: Final = {"preset": "ultrafast"}


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
@pytest.mark.parametrize("name", ["file.jpg", "file.mp4", "file.txt"])
def test_the_content_decides_and_not_the_name(
    tmp_path: Path, content: bytes, expected: str, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert server_media_type(file) == expected


@pytest.mark.parametrize("name", FILES)
def test_images(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(FILES[name]())
    assert server_media_type(file) == "image"


@pytest.mark.parametrize(
    ("container", "codec", "expected"),
    [
        ("mp4", "libx264", "video"),
        ("mov", "libx264", "video"),
        ("matroska", "libx264", "video"),
        ("webm", "libvpx", "video"),
        ("avi", "mpeg4", "video"),
        ("flv", "flv", "video"),
        ("asf", "wmv2", "video"),
        ("3gp", "mpeg4", "video"),
        ("mpeg", "mpeg1video", "video"),
        ("mpeg2video", "mpeg2video", "video"),
        ("mpegts", "mpeg2video", "file"),
        ("mxf", "mpeg2video", "file"),
        ("nut", "mpeg4", "file"),
    ],
)
def test_videos(tmp_path: Path, container: str, codec: str, expected: str) -> None:
    """Also those that libmagic does not know, FFmpeg's transport streams among them."""
    file = MovingClip(container=container, codec=codec, frames=5).write(tmp_path / "file")
    assert server_media_type(file) == expected


def test_a_transport_stream_that_begins_with_its_table_is_a_video(tmp_path: Path) -> None:
    """As recordings of television and camcorders do. FFmpeg writes another packet first."""
    file = MovingClip(container="mpegts", codec="mpeg2video", frames=5).write(tmp_path / "file.ts")
    content = file.read_bytes()[188:]
    file.write_bytes(content)
    assert server_media_type(file) == "video"
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    file.write_bytes(b"".join(bytes(4) + packet for packet in packets))
    assert server_media_type(file) == "video"


@pytest.mark.parametrize(
    ("brand", "expected"),
    [
        ("isom", "video"),
        ("mp42", "video"),
        ("M4V ", "video"),
        ("3gp5", "video"),
        ("qt  ", "video"),
        ("dash", "video"),
        ("XAVC", "file"),
        ("CAEP", "file"),
        ("hvc1", "file"),
        ("MSNV", "audio"),
        ("M4A ", "audio"),
    ],
)
def test_the_major_brand_decides(tmp_path: Path, brand: str, expected: str) -> None:
    file = MovingClip(container="mp4", codec="libx264", options=X264, frames=5).write(tmp_path / "file.mp4")
    content = bytearray(file.read_bytes())
    struct.pack_into("4s", content, 8, brand.encode())
    file.write_bytes(content)
    assert server_media_type(file) == expected


@pytest.mark.parametrize("first", [b"wide", b"free"])
def test_quicktime_of_the_nineties_is_not_known(tmp_path: Path, first: bytes) -> None:
    file = MovingClip(container="mov", codec="mjpeg", pixel_format="yuvj420p", frames=5).write(tmp_path / "a")
    content = file.read_bytes()
    size = int.from_bytes(content[:4])
    file.write_bytes(size.to_bytes(4) + first + bytes(size - 8) + content[size:])
    assert server_media_type(file) == "file"


@pytest.mark.parametrize("container", ["mp4", "matroska", "3gp"])
def test_sound_alone_in_a_container_for_videos_is_audio(tmp_path: Path, container: str) -> None:
    """Real servers call it a video, and cannot hash it."""
    file = tmp_path / "song"
    with av.open(str(file), "w", format=container) as output:
        sound = output.add_stream("aac", rate=44_100)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        assert isinstance(sound, av.AudioStream)
        sound.layout = "mono"
        frame = AudioFrame(format="s16", layout="mono", samples=44_100)
        frame.sample_rate, frame.pts = 44_100, 0
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        for piece in (frame, None):
            output.mux(sound.encode(piece))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    assert server_media_type(file) == "audio"
