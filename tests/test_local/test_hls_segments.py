"""Segments of HLS streams: of 2 s, with a keyframe at the start, at the same times in every variant."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING

import av
import pytest

from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from hls_playback import Playlist, Stream, segment_start, stream_of
from video_clips import Clip, steady

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMES = ("48p-200", "24p-100")
TAGS = ("#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:", "#EXT-X-MEDIA-SEQUENCE:0")
"""How a media playlist of a real server starts, which names no type of playlist."""


def streaming(source: Path, *, include_original: bool = False) -> Stream:
    variants = (HlsVariant(resolution=48, bitrate=200), HlsVariant(resolution=24, bitrate=100))
    params = HlsStreamingParams(variants=variants, include_original=include_original)
    return stream_of(source, source.parent, params)


def keyframes(file: Path) -> list[float]:
    """When the keyframes of a segment are shown."""
    with av.open(str(file)) as container:
        packets = list(container.demux(container.streams.video[0]))
        return [float((packet.pts or 0) * packet.time_base) for packet in packets if packet.is_keyframe]


def assert_in_step(playlist: Playlist, starts: Sequence[float], end: float) -> None:
    """The segments start at these times with their only keyframe, and last until the next one."""
    first = segment_start(playlist.segments[0].file)
    found = [keyframes(segment.file) for segment in playlist.segments]
    assert [len(times) for times in found] == [1] * len(starts)
    assert [times[0] - first for times in found] == pytest.approx(starts, abs=0.0001)
    announced = [*accumulate((segment.seconds for segment in playlist.segments), initial=0.0)]
    assert announced[:-1] == pytest.approx(starts, abs=0.0005)
    assert announced[-1] == pytest.approx(end, abs=0.05)  # MP4 may state less for the last frame


def boundaries(times: Sequence[float], end: float) -> list[float]:
    """The first frame of every two seconds."""
    return [next(time for time in times if time >= second) for second in range(0, math.ceil(end), 2)]


@pytest.mark.parametrize(
    "rate",
    [Fraction(24_000, 1001), 24, 25, Fraction(30_000, 1001), 30, Fraction(60_000, 1001), 12, Fraction(15, 2)],
    ids=str,
)
def test_segments_keep_to_two_seconds_at_any_frame_rate(tmp_path: Path, rate: Fraction | int) -> None:
    end = float(round(23 * rate) / rate)
    tick = 1 / Fraction(rate) / 4
    clip = Clip(times=steady(23, rate), size=(64, 48), tick=tick)
    stream = streaming(clip.write(tmp_path / "clip.mp4"))
    for name in NAMES:
        played = stream.playlist(name)
        assert len(played.segments) == 12
        assert_in_step(played, boundaries(clip.times, end), end)
        assert played.times == pytest.approx(clip.times, abs=0.0005)
        assert "#EXT-X-TARGETDURATION:2\n" in played.path.read_text()


def test_segments_do_not_drift_in_a_long_video(tmp_path: Path) -> None:
    rate = Fraction(30_000, 1001)
    clip = Clip(times=steady(180, rate), size=(64, 48), tick=1 / rate)
    (name, _), stream = NAMES, streaming(clip.write(tmp_path / "clip.mp4"))
    played = stream.playlist(name)
    starts = [*accumulate((segment.seconds for segment in played.segments[:-1]), initial=0.0)]
    assert starts == pytest.approx([*range(0, 180, 2)], abs=float(1 / rate))
    assert segment_start(played.segments[-1].file) - segment_start(played.segments[0].file) == pytest.approx(
        starts[-1], abs=0.001
    )


def test_segments_of_a_variable_frame_rate(tmp_path: Path) -> None:
    slow, fast = [index / 3 for index in range(15)], [5 + index / 60 for index in range(180)]
    clip = Clip(times=[*slow, *fast, 8.9, 9.9, 10.0, 10.1], size=(64, 48))
    stream = streaming(clip.write(tmp_path / "screen.mp4"))
    for name in NAMES:
        assert_in_step(stream.playlist(name), [0, 2, 4, 6, 8.9, 10.0], 10.2)


def test_a_slideshow_has_its_keyframes_in_time(tmp_path: Path) -> None:
    clip = Clip(times=[0, 5.3, 12.7, 13.5], size=(64, 48), flash=5.3)
    stream = streaming(clip.write(tmp_path / "slides.mp4"))
    for name in NAMES:
        played = stream.playlist(name)
        assert_in_step(played, [0, 2, 4, 6, 8, 10, 12], 14.3)
        assert set(clip.times) <= {round(time, 3) for time in played.times}
        assert played.flash == pytest.approx(5.3, abs=0.001)


@pytest.mark.parametrize("sound_from", [0, None], ids=["sound", "silent"])
def test_playlists_have_the_tags_of_a_real_server(tmp_path: Path, sound_from: float | None) -> None:
    clip = Clip(times=steady(5), size=(64, 48), sound_from=sound_from)
    stream = streaming(clip.write(tmp_path / "clip.mp4"), include_original=True)
    for name in (*NAMES, "orig"):
        lines = stream.playlist(name).path.read_text().splitlines()
        assert [line.rstrip("0123456789") if "TARGET" in line else line for line in lines[:4]] == [*TAGS]
        assert {line.split(":")[0] for line in lines[4:] if line.startswith("#")} == {
            "#EXTINF",
            "#EXT-X-ENDLIST",
        }
    master = stream.master.splitlines()
    assert master[:2] == ["#EXTM3U", "#EXT-X-VERSION:3"]
    for attribute in ("BANDWIDTH", "RESOLUTION", "CODECS"):
        assert len(re.findall(rf"[:,]{attribute}=", stream.master)) == 2


def test_the_segments_of_the_original_are_not_counted(tmp_path: Path) -> None:
    source = Clip(times=steady(5), size=(64, 48)).write(tmp_path / "clip.mp4")
    stream = streaming(source, include_original=True)
    assert list(stream.folder.glob("adaptive-orig-*.ts"))
    assert (stream.task_output["variants_generated"], stream.task_output["total_segments"]) == (2, 6)
    assert "orig" not in stream.master


def test_the_original_keeps_its_own_keyframes(tmp_path: Path) -> None:
    clip = Clip(times=steady(7), size=(64, 48))  # its encoder sets a keyframe every 250 frames
    played = streaming(clip.write(tmp_path / "clip.mp4"), include_original=True).playlist("orig")
    assert [segment.seconds for segment in played.segments] == pytest.approx([7], abs=0.1)
    assert "#EXT-X-TARGETDURATION:7\n" in played.path.read_text()


def test_a_target_duration_of_half_a_second_is_rounded_up(tmp_path: Path) -> None:
    clip = Clip(times=steady(0.5, 24), size=(64, 48), tick=Fraction(1, 24), sound_from=None, flash=0.25)
    played = streaming(clip.write(tmp_path / "clip.mkv")).playlist(NAMES[0])
    assert [segment.seconds for segment in played.segments] == pytest.approx([0.5], abs=0.005)
    assert "#EXT-X-TARGETDURATION:1\n" in played.path.read_text()
