"""Videos that a player has to turn or to mirror: thumbnails and streams show them as players do."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from colour_clips import thumbnail_of
from hls_playback import assert_corners as assert_streamed_corners
from hls_playback import stream_of
from pictures import BLUE, GREEN, RED, YELLOW, assert_corners
from video_clips import Clip, steady

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pictures import Colour

# a, b, c, d of ISO/IEC 14496-12, 6.2.2: a point (x, y) is shown at (ax + cy, bx + dy), y downwards.
SHOWN: dict[str, tuple[tuple[int, int, int, int], Sequence[Colour]]] = {
    "as stored": ((1, 0, 0, 1), (RED, GREEN, BLUE, YELLOW)),
    "mirrored": ((-1, 0, 0, 1), (GREEN, RED, YELLOW, BLUE)),
    "on its head": ((-1, 0, 0, -1), (YELLOW, BLUE, GREEN, RED)),
    "upside down in a mirror": ((1, 0, 0, -1), (BLUE, YELLOW, RED, GREEN)),
    "clockwise": ((0, 1, -1, 0), (BLUE, RED, YELLOW, GREEN)),
    "counter-clockwise": ((0, -1, 1, 0), (GREEN, YELLOW, RED, BLUE)),
    "transposed": ((0, 1, 1, 0), (RED, BLUE, GREEN, YELLOW)),
    "transverse": ((0, -1, -1, 0), (YELLOW, GREEN, BLUE, RED)),
    "of no matrix at all": ((0, 0, 0, 0), (RED, GREEN, BLUE, YELLOW)),
}


def with_matrix(source: Path, a: int, b: int, c: int, d: int) -> Path:
    content = bytearray(source.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", content, at, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    _ = source.write_bytes(content)
    return source


@pytest.mark.parametrize("name", SHOWN)
def test_every_display_matrix(tmp_path: Path, name: str) -> None:
    matrix, corners = SHOWN[name]
    clip = Clip(times=steady(0.4), flash=-1, sound_from=None, size=(320, 180))
    source = with_matrix(clip.write(tmp_path / "clip.mp4"), *matrix)
    sideways = matrix[0] == 0 and any(matrix)
    image = thumbnail_of(source, tmp_path)
    assert image.size == ((180, 320) if sideways else (320, 180))
    assert_corners(image, corners)
    params = HlsStreamingParams(variants=(HlsVariant(resolution=240, bitrate=500),), include_original=True)
    stream = stream_of(source, tmp_path, params)
    for playlist in ("240p-500", "orig"):
        frame = stream.playlist(playlist).frames[0]
        assert (frame.height > frame.width) is sideways
        assert_streamed_corners(frame, corners)
