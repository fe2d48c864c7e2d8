"""What HLS streams show and when, with the sound in time, for videos of many shapes and clocks."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import pytest

from cl_client.plugins.hls_streaming import HlsVariant
from hls_playback import LARGE, SMALL, assert_corners, segment_start
from pictures import BLUE, GREEN, RED, YELLOW
from video_clips import SOUND_RATE, Clip, steady

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hls_playback import Streaming
    from pictures import Colour
    from video_clips import Rotation


@pytest.mark.parametrize(
    ("rotation", "size", "corners"),
    [
        (90, (180, 240), (BLUE, RED, YELLOW, GREEN)),
        (180, (320, 240), (YELLOW, BLUE, GREEN, RED)),
        (270, (180, 240), (GREEN, YELLOW, RED, BLUE)),
    ],
)
def test_a_rotated_video_is_upright(
    tmp_path: Path,
    streaming: Streaming,
    rotation: Rotation,
    size: tuple[int, int],
    corners: Sequence[Colour],
) -> None:
    source = Clip(times=steady(1.5), rotation=rotation).write(tmp_path / "phone.mp4")
    stream = streaming(source, LARGE, include_original=True)
    variant, original = stream.playlist("240p-600"), stream.playlist("orig")
    assert variant.size == size
    assert original.size == ((320, 240) if rotation == 180 else (240, 320))
    for played in (variant, original):
        assert_corners(played.frames[0], corners)
        assert played.frames[0].rotation == 0, "players would turn it once more"


def test_pixels_that_are_not_square_become_so(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(1.5), size=(180, 144), pixel_shape=Fraction(64, 45)).write(tmp_path / "dv.mp4")
    played = streaming(source, HlsVariant(resolution=144, bitrate=300)).playlist("144p-300")
    assert played.size == (256, 144)
    assert_corners(played.frames[0])


@pytest.mark.parametrize(
    ("resolution", "size"), [(49, (64, 48)), (48, (64, 48)), (1, (2, 2)), (98, (130, 98))]
)
def test_odd_sizes_and_enlarging(
    tmp_path: Path, streaming: Streaming, resolution: int, size: tuple[int, int]
) -> None:
    clip = Clip(times=steady(1.5), size=(65, 49), video_codec="ffv1", pixel_format="yuv444p")
    source = clip.write(tmp_path / "odd.mkv")
    stream = streaming(source, HlsVariant(resolution=resolution, bitrate=100))
    assert stream.playlist(f"{resolution}p-100").size == size
    assert f"RESOLUTION={size[0]}x{size[1]}" in stream.master


@pytest.mark.parametrize("file_name", ["screen.mp4", "screen.mkv"])
def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path, streaming: Streaming, file_name: str) -> None:
    slow = [index / 8 for index in range(40)]
    fast = [5 + index / 30 for index in range(90)]
    pause = [8.0, 11.0, 11.5, 12.0, 12.7, 13.5]
    clip = Clip(times=[*slow, *fast, *pause], flash=11.5)
    repeated = [8 + tenth / 10 for tenth in range(2, 30, 2)]  # a frame that lasts longer than a second
    stream = streaming(clip.write(tmp_path / file_name), SMALL, LARGE)
    for name in ("120p-150", "240p-600"):
        played = stream.playlist(name)
        assert played.times == pytest.approx(sorted([*clip.times, *repeated]), abs=0.002)
        assert played.flash == pytest.approx(11.5, abs=0.002)
        assert played.beep == pytest.approx(11.5, abs=0.03)
        # The first frame at 2 s or later begins a segment, and so on.
        starts = [segment_start(segment.file) for segment in played.segments]
        assert [start - starts[0] for start in starts] == pytest.approx([*range(0, 14, 2)], abs=0.002)
        # The last frame is shown for as long as there is sound.
        assert [segment.seconds for segment in played.segments] == pytest.approx([2] * 6 + [2.3], abs=0.01)


def test_a_video_without_a_stated_duration(tmp_path: Path, streaming: Streaming) -> None:
    # As a browser records it: no duration in the header, because it is written as it comes.
    clip = Clip(times=steady(3), sound_codec="libmp3lame", muxer_options={"live": "1"})
    source = clip.write(tmp_path / "recording.mkv")
    with av.open(str(source)) as container:
        assert not container.duration
    stream = streaming(source)
    assert stream.playlist("120p-150").duration == pytest.approx(3, abs=0.05)
    assert stream.progress == sorted(stream.progress)
    assert len(set(stream.progress)) > 10


def test_h264_in_avi_keeps_every_frame(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(2), sound_codec="libmp3lame").write(tmp_path / "clip.avi")
    stream = streaming(source, include_original=True)
    for name in ("120p-150", "orig"):
        played = stream.playlist(name)
        assert played.times == pytest.approx(steady(2), abs=0.002)
        assert played.beep == pytest.approx(1, abs=0.06)


def test_a_file_whose_clock_does_not_begin_at_zero(tmp_path: Path, streaming: Streaming) -> None:
    options = {"output_ts_offset": "3600"}
    source = Clip(times=steady(2), muxer_options=options).write(tmp_path / "broadcast.ts")
    stream = streaming(source, include_original=True)
    for name in ("120p-150", "orig"):
        played = stream.playlist(name)
        assert played.times == pytest.approx(steady(2), abs=0.001)
        assert played.beep == pytest.approx(1, abs=0.05)
        assert segment_start(played.segments[0].file) < 0.2


def test_a_gap_in_the_sound_is_filled_with_silence(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(3), sound_gap=(0.5, 1.5), flash=2.0).write(tmp_path / "gap.mkv")
    with av.open(str(source)) as container:
        stored = sum(frame.samples for frame in container.decode(audio=0)) / SOUND_RATE
    assert stored == pytest.approx(2, abs=0.1)
    played = streaming(source).playlist("120p-150")
    assert played.sound_seconds == pytest.approx(3, abs=0.1)
    assert played.beep == pytest.approx(played.flash, abs=0.05)


def test_sound_that_begins_later_stays_in_time(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(3), sound_from=0.7, flash=2.0).write(tmp_path / "late.mkv")
    played = streaming(source).playlist("120p-150")
    assert played.sound_seconds == pytest.approx(3, abs=0.1)
    assert played.beep == pytest.approx(played.flash, abs=0.05)


def test_a_change_of_form_on_the_way(tmp_path: Path, streaming: Streaming) -> None:
    # MPEG-TS files can be joined. The muxer moves a file without an offset by two frames more than one with.
    first = Clip(times=steady(2)).write(tmp_path / "first.ts")
    second = Clip(
        times=steady(2), size=(160, 120), sound_layout="stereo", muxer_options={"output_ts_offset": "2.08"}
    ).write(tmp_path / "second.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    played = streaming(joined).playlist("120p-150")
    assert played.size == (160, 120)
    assert played.times == pytest.approx(steady(4), abs=0.001)
    assert played.sound_seconds == pytest.approx(4, abs=0.1)
    for frame in (played.frames[0], played.frames[-1]):
        assert_corners(frame)


def test_without_sound(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(2), sound_from=None).write(tmp_path / "silent.mp4")
    stream = streaming(source, include_original=True)
    for name in ("120p-150", "orig"):
        played = stream.playlist(name)
        assert played.duration == pytest.approx(2, abs=0.04)
        assert not played.sound_seconds
    assert "mp4a" not in stream.master


def test_one_frame(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=[0], sound_from=None).write(tmp_path / "one.mp4")
    played = streaming(source, include_original=True).playlist("120p-150")
    assert len(played.frames) == len(played.segments) == 1
