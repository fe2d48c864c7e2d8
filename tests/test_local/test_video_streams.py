"""Files with several video streams: thumbnails and streams show the one that players show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest
from av.stream import Disposition

from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from colour_clips import ColourClip, thumbnail_of
from hls_playback import pixel as streamed_pixel
from hls_playback import stream_of
from pictures import assert_close, pixel

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import OutputContainer
    from av.video.stream import VideoStream

    from colour_clips import Parts

SHOWN: Parts = (0, 0, 1)
OTHER: Parts = (1, 0, 0)


def write_streams(path: Path, *streams: tuple[Parts, Disposition | None, bool]) -> Path:
    """Streams of one colour each; those that are not whole are announced, but have no frames."""
    with av.open(str(path), mode="w") as container:
        videos = [_video(container, disposition) for _, disposition, _ in streams]
        for video, (colour, _, is_whole) in zip(videos, streams, strict=True):
            clip = ColourClip(stripes=[colour], matrix=6)
            for frame in (*map(clip.frame, range(clip.frames)), None):
                packets = video.encode(frame)  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType] - PyAV leaves its packets' type open
                if is_whole:
                    container.mux(packets)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    return path


def _video(container: OutputContainer, disposition: Disposition | None) -> VideoStream:
    video = container.add_stream("libx264", rate=5)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
    video.width, video.height = 320, 240
    video.pix_fmt = "yuv420p"
    if disposition is not None:
        video.disposition = disposition
    return video


def assert_shown(source: Path, folder: Path) -> None:
    assert_close(pixel(thumbnail_of(source, folder), 0.5, 0.5), (0, 0, 255))
    params = HlsStreamingParams(variants=(HlsVariant(resolution=240, bitrate=300),), include_original=True)
    stream = stream_of(source, folder, params)
    for name in ("240p-300", "orig"):
        assert_close(streamed_pixel(stream.playlist(name).frames[0], 0.5, 0.5), (0, 0, 255))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov"])
def test_the_default_stream(tmp_path: Path, name: str) -> None:
    streams = (OTHER, Disposition(0), True), (SHOWN, Disposition.default, True), (OTHER, Disposition(0), True)
    assert_shown(write_streams(tmp_path / name, *streams), tmp_path)


def test_the_first_of_several_that_are_alike(tmp_path: Path) -> None:
    streams = (SHOWN, None, True), (OTHER, None, True)
    assert_shown(write_streams(tmp_path / "clip.ts", *streams), tmp_path)


def test_a_stream_that_a_recording_only_announces(tmp_path: Path) -> None:
    streams = (OTHER, None, False), (SHOWN, None, True)
    assert_shown(write_streams(tmp_path / "recording.ts", *streams), tmp_path)
