"""Containers of camcorders and video recorders."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from colour_clips import thumbnail_of
from hls_playback import pixel as streamed_pixel
from hls_playback import stream_of
from pictures import GREEN, assert_close, pixel

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 25


@pytest.mark.parametrize(
    ("file_name", "codec", "size"),
    [("tape.dv", "dvvideo", (720, 576)), ("television.wtv", "mpeg2video", (320, 240))],
)
def test_a_recording(tmp_path: Path, file_name: str, codec: str, size: tuple[int, int]) -> None:
    source = tmp_path / file_name
    with av.open(str(source), mode="w") as container:
        video = container.add_stream(codec, rate=25)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        assert isinstance(video, av.VideoStream)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        picture = Image.new("RGBA", size, GREEN).tobytes()
        for number in range(FRAMES):
            frame = VideoFrame.from_bytes(picture, *size).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        container.mux(video.encode(None))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    assert_close(pixel(thumbnail_of(source, tmp_path), 0.5, 0.5), GREEN, 24)
    params = HlsStreamingParams(variants=(HlsVariant(resolution=90, bitrate=300),), include_original=True)
    stream = stream_of(source, tmp_path, params)
    for name in ("90p-300", "orig"):
        played = stream.playlist(name)
        assert len(played.frames) == FRAMES
        assert_close(streamed_pixel(played.frames[0], 0.5, 0.5), GREEN, 24)
