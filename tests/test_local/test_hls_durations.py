"""How long HLS streams last: short videos, sound and pictures of different lengths, truncated files."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import av
import pytest

from cl_client.local import LocalServer
from cl_client.local.tasks.contract import TaskFailedError
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from hls_playback import PAIRS, Playlist, Stream, pixel, stream_of
from pictures import BLUE, GREEN, RED
from scene_videos import FRAME_RATE, Scenes, Tones, heard_in, with_wrong_display_time, write_video

if TYPE_CHECKING:
    from pathlib import Path

    from pictures import Colour

VARIANTS = (HlsVariant(resolution=90, bitrate=300), HlsVariant(resolution=48, bitrate=100))
NAMES = ("90p-300", "48p-100")


def streaming(source: Path) -> Stream:
    params = HlsStreamingParams(variants=VARIANTS, include_original=True)
    return stream_of(source, source.parent, params)


def length(playlist: Playlist) -> float:
    return sum(segment.seconds for segment in playlist.segments)


def assert_playlists_last(stream: Stream, seconds: float) -> None:
    for name in (*NAMES, "orig"):
        played = stream.playlist(name)
        assert length(played) == pytest.approx(seconds, abs=0.1), name
        target = re.search(r"#EXT-X-TARGETDURATION:(\d+)\n", played.path.read_text())
        assert target is not None
        longest = max(segment.seconds for segment in played.segments)
        assert int(target[1]) == max(1, math.floor(longest + 0.5)), name  # rounded (RFC 8216, 4.3.3.1)


def colours(playlist: Playlist) -> list[tuple[float, Colour]]:
    """The colour of each frame, with its time."""
    named = (RED, GREEN, BLUE)
    seen = [pixel(frame, 0.5, 0.5) for frame in playlist.frames]
    nearest = [
        min(named, key=lambda one: sum(abs(a - b) for a, b in zip(one, each, strict=True))) for each in seen
    ]
    return list(zip(playlist.times, nearest, strict=True))


@pytest.mark.parametrize("frames", [1, 2, 5, 7, 12, 13, 25])
@pytest.mark.parametrize("with_sound", [True, False], ids=["sound", "silent"])
def test_a_short_video_has_all_variants(tmp_path: Path, frames: int, *, with_sound: bool) -> None:
    seconds = frames / FRAME_RATE
    sounds = [Tones([(1000, seconds)])] if with_sound else []
    source = write_video(tmp_path / "short.mp4", Scenes([(RED, seconds)]), *sounds)
    stream = streaming(source)
    entries = PAIRS.validate_python(re.findall(r"#EXT-X-STREAM-INF:(.+)\n(\S+)\n", stream.master))
    assert [name for _, name in entries] == [f"adaptive-{name}.m3u8" for name in NAMES]
    for attributes, name in entries:
        played = Playlist(stream.folder / name)
        size = sum(segment.file.stat().st_size for segment in played.segments)
        assert f"RESOLUTION={played.size[0]}x{played.size[1]}," in attributes
        assert "FRAME-RATE=25.000" in attributes
        assert f"AVERAGE-BANDWIDTH={8 * size / length(played):.0f}"[:-1] in attributes
        assert len(played.frames) == frames
    assert_playlists_last(stream, seconds)


async def test_a_short_video_can_be_downloaded(tmp_path: Path) -> None:
    source = write_video(tmp_path / "short.mp4", Scenes([(RED, 0.2)]), Tones([(1000, 0.2)]))
    async with LocalServer(workers=1) as server, server.client() as client:
        job = await client.hls_streaming.generate_manifest(source, variants=VARIANTS, wait=True)
        master = await client.hls_streaming.download(job, tmp_path / "stream")
    assert {file.name for file in master.parent.glob("*.m3u8")} == {
        "adaptive.m3u8",
        *(f"adaptive-{name}.m3u8" for name in NAMES),
    }


@pytest.mark.parametrize("file_name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.mov"])
def test_the_last_frame_is_shown_while_there_is_sound(tmp_path: Path, file_name: str) -> None:
    tones = [(1000, 4.0), (2000, 4.0)]
    source = write_video(tmp_path / file_name, Scenes([(RED, 1), (GREEN, 1)]), Tones(tones))
    stream = streaming(source)
    assert_playlists_last(stream, 8)
    for name in NAMES:
        played = stream.playlist(name)
        assert [segment.seconds for segment in played.segments] == pytest.approx([2] * 4, abs=0.1)
        assert {colour for time, colour in colours(played) if time > 1.01} == {GREEN}
        assert played.times[-1] > 7
        assert heard_in(played)[2:78] == [1000] * 38 + [2000] * 38


def test_a_picture_with_sound_is_a_video(tmp_path: Path) -> None:
    source = write_video(tmp_path / "song.mp4", Scenes([(GREEN, 0.04)]), Tones([(1000, 15)]))
    stream = streaming(source)
    assert_playlists_last(stream, 15)
    for name in NAMES:
        played = stream.playlist(name)
        assert [segment.seconds for segment in played.segments] == pytest.approx([*[2] * 7, 1], abs=0.1)
        for segment in played.segments:
            with av.open(str(segment.file)) as container:
                assert next(container.decode(video=0)).key_frame


def test_a_variant_is_silent_where_the_sound_is_shorter(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mkv", Scenes([(RED, 45)], keyframe_every=25), Tones([(1000, 2)]))
    stream = streaming(source)
    assert_playlists_last(stream, 45)
    played = stream.playlist(NAMES[0])
    assert len(played.frames) == 45 * FRAME_RATE
    heard = heard_in(played)
    assert heard[1:19] == [1000] * 18
    assert heard[21:449] == [0] * 428
    for segment in played.segments[:-1]:
        with av.open(str(segment.file)) as container:
            sound = sum(frame.samples for frame in container.decode(audio=0)) / 48_000
        assert sound == pytest.approx(segment.seconds, abs=0.1)


@pytest.mark.parametrize("file_name", ["clip.mp4", "clip.mkv"])
def test_the_first_frame_is_shown_while_there_is_only_sound(tmp_path: Path, file_name: str) -> None:
    video = Scenes([(RED, 1), (GREEN, 1)], start=5)
    source = write_video(tmp_path / file_name, video, Tones([(1000, 6), (2000, 1)]))
    stream = streaming(source)
    assert_playlists_last(stream, 7)
    for name in NAMES:
        played = stream.playlist(name)
        assert {colour for time, colour in colours(played) if time < 5.9} == {RED}
        assert {colour for time, colour in colours(played) if time > 6.01} == {GREEN}
        assert heard_in(played)[1:69] == [1000] * 59 + [2000] * 9


@pytest.mark.parametrize("file_name", ["clip.mp4", "clip.mkv"])
def test_sound_that_starts_later_is_preceded_by_silence(tmp_path: Path, file_name: str) -> None:
    source = write_video(tmp_path / file_name, Scenes([(RED, 8)]), Tones([(1000, 3)], start=5))
    stream = streaming(source)
    assert_playlists_last(stream, 8)
    for name in NAMES:
        assert heard_in(stream.playlist(name))[1:79] == [0] * 49 + [1000] * 29


@pytest.mark.parametrize("file_name", ["clip.mp4", "clip.mkv"])
def test_a_pause_of_both_is_kept(tmp_path: Path, file_name: str) -> None:
    video = Scenes([(RED, 1), (GREEN, 1)], gaps={0: 60})
    source = write_video(tmp_path / file_name, video, Tones([(1000, 1)]))
    stream = streaming(source)
    assert_playlists_last(stream, 62)
    for name in NAMES:
        played = stream.playlist(name)
        assert max(segment.seconds for segment in played.segments) < 2.3
        assert {colour for time, colour in colours(played) if time < 60.9} == {RED}
        assert {colour for time, colour in colours(played) if time > 61.01} == {GREEN}


@pytest.mark.parametrize("file_name", ["clip.mp4", "clip.mkv", "clip.mov", "clip.flv", "clip.ts"])
def test_a_file_that_starts_later_is_not_truncated(tmp_path: Path, file_name: str) -> None:
    scenes, tones = Scenes([(RED, 2)]), Tones([(1000, 2)])
    assert_playlists_last(
        streaming(write_video(tmp_path / file_name, scenes, tones, output_ts_offset="30")), 2
    )


@pytest.mark.parametrize("second_start", ["0", "2", "40000"])
def test_a_new_clock_in_a_joined_file_continues_the_old_one(tmp_path: Path, second_start: str) -> None:
    first = write_video(tmp_path / "1.ts", Scenes([(RED, 4)]), Tones([(1000, 4)]), output_ts_offset="3")
    second = write_video(
        tmp_path / "2.ts", Scenes([(GREEN, 3)]), Tones([(2000, 3)]), output_ts_offset=second_start
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    stream = streaming(joined)
    assert_playlists_last(stream, 7)
    for name in (*NAMES, "orig"):
        played = stream.playlist(name)
        assert len(played.frames) == 7 * FRAME_RATE
        assert {colour for time, colour in colours(played) if time < 3.95} == {RED}
        assert {colour for time, colour in colours(played) if time > 4.01} == {GREEN}
        assert heard_in(played)[2:68] == pytest.approx([1000] * 38 + [2000] * 28, abs=1000)


def test_sound_whose_format_changes_stays_in_time(tmp_path: Path) -> None:
    low = Tones([(1000, 8)], rate=44_100)
    high = Tones([(1000, 1), (2000, 2)], rate=44_100, layout="stereo")
    first = write_video(tmp_path / "1.ts", Scenes([(RED, 8)]), low)
    second = write_video(tmp_path / "2.ts", Scenes([(GREEN, 3)]), high)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    heard = heard_in(streaming(joined).playlist(NAMES[0]))
    assert heard.index(2000) == pytest.approx(90, abs=1)
    assert len(heard) == pytest.approx(110, abs=1)


def test_a_small_loss_at_the_end_is_told(tmp_path: Path) -> None:
    source = write_video(tmp_path / "cut.mkv", Scenes([(RED, 20)], keyframe_every=25), Tones([(1000, 20)]))
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 93 // 100])
    (warning,) = streaming(source).warnings
    assert re.fullmatch(
        r"the video is truncated or damaged, only 18\.\d of its 20\.\d seconds can be read", warning
    )


def test_a_video_of_days_fails(tmp_path: Path) -> None:
    scenes = [(RED, 0.04)] * 30
    pauses = dict.fromkeys(range(30), 3500.0)
    source = write_video(tmp_path / "slow.mkv", Scenes(scenes, codec="mpeg4", gaps=pauses))
    with pytest.raises(TaskFailedError, match=r"^slow\.mkv: the video lasts longer than 24 hours"):
        streaming(source)


def test_a_video_of_hours_without_anything_fails(tmp_path: Path) -> None:
    scenes = Scenes([(RED, 0.04)] * 9, codec="mpeg4", gaps=dict.fromkeys(range(9), 3500.0))
    source = write_video(tmp_path / "slow.mkv", scenes)
    with pytest.raises(TaskFailedError, match=r"its first 1\.1 hours have only [34] frames and 0 "):
        streaming(source)


@pytest.mark.parametrize(
    ("file_name", "seconds"), [("wrong.ts", 100), ("wrong.ts", 70_000), ("wrong.mp4", 8000)]
)
def test_a_wrong_display_time_is_no_pause(tmp_path: Path, file_name: str, seconds: float) -> None:
    right = write_video(tmp_path / "right.mkv", Scenes([(RED, 2), (GREEN, 2)]), Tones([(1000, 4)]))
    stream = streaming(with_wrong_display_time(right, tmp_path / file_name, at=30, seconds=seconds))
    assert_playlists_last(stream, 4)
    for name in (*NAMES, "orig"):
        assert len(stream.playlist(name).frames) == pytest.approx(100, abs=2), name


def assert_truncated(source: Path) -> None:
    with pytest.raises(TaskFailedError, match=r"truncated or damaged, only \d\.\d of its 4\.\d seconds"):
        streaming(source)


@pytest.mark.parametrize(
    ("file_name", "video_codec", "sound_codec"),
    [("cut.mkv", "libx264", "aac"), ("cut.avi", "mpeg4", "libmp3lame"), ("cut.flv", "libx264", "aac")],
)
def test_a_truncated_file_fails(tmp_path: Path, file_name: str, video_codec: str, sound_codec: str) -> None:
    video = Scenes([(RED, 2), (BLUE, 2)], codec=video_codec)
    source = write_video(tmp_path / file_name, video, Tones([(1000, 4)], codec=sound_codec))
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 6 // 10])
    assert_truncated(source)
