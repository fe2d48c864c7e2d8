"""Thumbnails of videos as cameras, recorders and programs write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest

from colour_clips import ColourClip, thumbnail_of
from pictures import assert_close, assert_corners, pixel
from video_clips import Clip, steady

if TYPE_CHECKING:
    from pathlib import Path

    from colour_clips import Parts

TS_PACKET = 188


@pytest.mark.parametrize("seconds", [0.2, 1, 6])
@pytest.mark.parametrize("offset", ["0", "3600"])
def test_a_transport_stream_with_one_keyframe(tmp_path: Path, seconds: float, offset: str) -> None:
    clip = Clip(times=steady(seconds), flash=-1, sound_from=None, muxer_options={"output_ts_offset": offset})
    assert_corners(thumbnail_of(clip.write(tmp_path / "camcorder.ts"), tmp_path))


def test_avchd(tmp_path: Path) -> None:
    source = Clip(times=steady(2), flash=-1, sound_codec="ac3").write(tmp_path / "clip.ts")
    content = source.read_bytes()
    avchd = tmp_path / "00001.mts"
    with avchd.open("wb") as file:
        for start in range(0, len(content), TS_PACKET):
            # Blu-ray's and AVCHD's packets have four bytes more: the time of arrival.
            _ = file.write(start.to_bytes(4, "big") + content[start : start + TS_PACKET])
    assert_corners(thumbnail_of(avchd, tmp_path))


@pytest.mark.parametrize("lost", [0.1, 0.5])
def test_a_recording_that_starts_between_keyframes(tmp_path: Path, lost: float) -> None:
    clip = Clip(times=steady(4), flash=-1, video_codec="mpeg2video", sound_from=None)
    content = clip.write(tmp_path / "television.ts").read_bytes()
    start = int(lost * len(content)) // TS_PACKET * TS_PACKET
    (tmp_path / "recording.ts").write_bytes(content[: 3 * TS_PACKET] + content[start:])
    assert_corners(thumbnail_of(tmp_path / "recording.ts", tmp_path))


@pytest.mark.parametrize(
    ("name", "codec", "muxer_options"),
    [
        pytest.param("clip.wmv", "wmv2", {}, id="WMV"),
        pytest.param("clip.flv", "flv", {}, id="FLV"),
        pytest.param("browser.webm", "libvpx", {"live": "1"}, id="WebM without cues and duration"),
        pytest.param("clip.mpg", "mpeg2video", {}, id="MPEG program stream"),
        pytest.param("clip.m2v", "mpeg2video", {}, id="a stream without a container"),
        pytest.param("clip.avi", "mpeg4", {}, id="AVI"),
    ],
)
def test_containers_that_differ_in_how_they_seek(
    tmp_path: Path, name: str, codec: str, muxer_options: dict[str, str]
) -> None:
    clip = Clip(times=steady(3), flash=-1, sound_from=None, video_codec=codec, muxer_options=muxer_options)
    assert_corners(thumbnail_of(clip.write(tmp_path / name), tmp_path))


def test_a_screen_recording_with_one_frame_in_ten_seconds(tmp_path: Path) -> None:
    clip = Clip(times=[0, 10, 20, 20.04], flash=-1, sound_from=None)
    assert_corners(thumbnail_of(clip.write(tmp_path / "screen.mkv"), tmp_path))


def test_leading_pictures_of_an_open_gop(tmp_path: Path) -> None:
    options = "log-level=none:open-gop=1:keyint=10:min-keyint=10:bframes=4"
    clip = ColourClip(
        stripes=[(1, 0, 0), (0, 0, 1)], codec="libx265", frames=60, options={"x265-params": options}
    )
    image = thumbnail_of(clip.write(tmp_path / "clip.mp4"), tmp_path)
    assert_close(pixel(image, 0.2, 0.5), (255, 0, 0), 24)
    assert_close(pixel(image, 0.8, 0.5), (0, 0, 255), 24)


@pytest.mark.parametrize("dark", [5, 15, 29])
def test_a_black_start_is_passed_over(tmp_path: Path, dark: int) -> None:
    black: Parts = (0, 0, 0)
    red: Parts = (1, 0, 0)
    colours = [black] * dark + [red] * (60 - dark)
    source = tmp_path / "film.mp4"
    with av.open(str(source), mode="w") as container:
        video = container.add_stream("libx264", rate=5)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        for index, colour in enumerate(colours):
            container.mux(video.encode(ColourClip(stripes=[colour], matrix=6).frame(index)))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        container.mux(video.encode(None))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    assert_close(pixel(thumbnail_of(source, tmp_path), 0.5, 0.5), (255, 0, 0))


def test_a_video_that_is_black_from_start_to_end(tmp_path: Path) -> None:
    source = ColourClip(stripes=[(0, 0, 0)]).write(tmp_path / "black.mp4")
    assert_close(pixel(thumbnail_of(source, tmp_path), 0.5, 0.5), (0, 0, 0))
