"""HLS streams of real videos, played back from the playlists and segments that were written."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import av
import pytest
from av.audio.frame import AudioFrame

from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo
from cl_client.local.tasks.contract import TaskFailedError
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from hls_playback import PAIRS, Playlist, Stream, assert_corners, segment_start, stream_of
from pictures import BLUE, GREEN, RED, YELLOW
from video_clips import SOUND_RATE, Clip, steady

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client.models import JobResponse
    from cl_client.plugins.hls_streaming import HlsStreamingOutput
    from pictures import Colour
    from video_clips import Rotation

LARGE, SMALL = HlsVariant(resolution=240, bitrate=600), HlsVariant(resolution=120, bitrate=150)


class Streaming(Protocol):
    def __call__(self, source: Path, *variants: HlsVariant, include_original: bool = False) -> Stream: ...


@pytest.fixture
def streaming(tmp_path: Path) -> Streaming:
    def run(source: Path, *variants: HlsVariant, include_original: bool = False) -> Stream:
        params = HlsStreamingParams(variants=variants or (SMALL,), include_original=include_original)
        return stream_of(source, tmp_path, params)

    return run


@pytest.fixture(scope="module")
def ten_seconds(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """10 s of video with sound in two variants and as the original."""
    folder = tmp_path_factory.mktemp("ten-seconds")
    source = Clip(times=steady(10), flash=7.0).write(folder / "clip.mp4")
    return stream_of(source, folder, HlsStreamingParams(variants=(LARGE, SMALL), include_original=True))


def test_the_files_and_the_output_are_those_of_a_server(ten_seconds: Stream) -> None:
    names = {file.name for file in ten_seconds.folder.iterdir()}
    assert {name for name in names if name.endswith(".m3u8")} == {
        "adaptive.m3u8",
        "adaptive-240p-600.m3u8",
        "adaptive-120p-150.m3u8",
        "adaptive-orig.m3u8",
    }
    segments = {name for name in names if name.endswith(".ts")}
    assert {"adaptive-240p-600-000.ts", "adaptive-240p-600-001.ts", "adaptive-orig-000.ts"} <= segments
    assert len(names) == 4 + len(segments)
    assert ten_seconds.task_output == {
        "master_playlist": str(ten_seconds.folder.absolute() / "adaptive.m3u8"),
        "variants_generated": 2,
        "total_segments": len(segments),
        "include_original": True,
    }


def test_the_master_names_every_variant_and_not_the_original(ten_seconds: Stream) -> None:
    entries = PAIRS.validate_python(re.findall(r"#EXT-X-STREAM-INF:(.+)\n(\S+)\n", ten_seconds.master))
    assert [name for _, name in entries] == ["adaptive-240p-600.m3u8", "adaptive-120p-150.m3u8"]
    for (attributes, name), resolution in zip(entries, ("320x240", "160x120"), strict=True):
        assert f"RESOLUTION={resolution}" in attributes
        assert re.search(r'CODECS="avc1\.64[0-9a-f]{4},mp4a\.40\.2"', attributes)
        bandwidth = re.search(r"(?:^|,)BANDWIDTH=(\d+)", attributes)
        assert bandwidth is not None
        for segment in Playlist(ten_seconds.folder / name).segments:
            assert segment.file.stat().st_size * 8 / segment.seconds <= int(bandwidth[1]) * 1.01


@pytest.mark.parametrize(("name", "size"), [("240p-600", (320, 240)), ("120p-150", (160, 120))])
def test_a_variant_plays_whole_with_sound_in_time(
    ten_seconds: Stream, name: str, size: tuple[int, int]
) -> None:
    played = ten_seconds.playlist(name)
    assert played.size == size
    assert played.duration == pytest.approx(10, abs=0.04)
    assert sum(segment.seconds for segment in played.segments) == pytest.approx(10, abs=0.001)
    assert played.times == pytest.approx(steady(10), abs=0.001)
    assert played.sound_seconds == pytest.approx(10, abs=0.1)
    assert played.flash == pytest.approx(7, abs=0.001)
    assert played.beep == pytest.approx(7, abs=0.03)
    assert_corners(played.frames[0])
    assert_corners(played.frames[-1])


def test_segments_begin_with_a_keyframe_at_the_same_times_in_every_variant(ten_seconds: Stream) -> None:
    large, small = ten_seconds.playlist("240p-600"), ten_seconds.playlist("120p-150")
    assert [segment.seconds for segment in large.segments] == pytest.approx([6, 4], abs=0.001)
    assert [segment.seconds for segment in small.segments] == [segment.seconds for segment in large.segments]
    starts = [segment_start(segment.file) for segment in large.segments]
    assert [segment_start(segment.file) for segment in small.segments] == starts
    for playlist in (large, small):
        keyframes = [t for t, frame in zip(playlist.times, playlist.frames, strict=True) if frame.key_frame]
        assert keyframes == pytest.approx([0, 2, 4, 6, 8], abs=0.001)


def test_progress_goes_by_what_is_done(ten_seconds: Stream) -> None:
    assert ten_seconds.progress == sorted(ten_seconds.progress)
    assert len(set(ten_seconds.progress)) > 50
    assert ten_seconds.progress[0] < 10
    assert 95 <= ten_seconds.progress[-1] < 100


def test_the_original_is_not_encoded_anew(ten_seconds: Stream) -> None:
    played = ten_seconds.playlist("orig")
    with av.open(str(ten_seconds.folder.parent / "clip.mp4")) as container:
        stored = list(container.decode(video=0))
    assert len(played.frames) == len(stored) == 250
    for index in (0, 1, 100, 176, 249):
        assert bytes(played.frames[index].planes[0]) == bytes(stored[index].planes[0])
    assert played.flash == pytest.approx(7, abs=0.001)
    assert played.beep == pytest.approx(7, abs=0.03)


def test_the_original_of_a_matroska_file_is_whole(tmp_path: Path, streaming: Streaming) -> None:
    # The format does not say when the first frames are decoded.
    source = Clip(times=steady(1.5), sound_codec="libmp3lame").write(tmp_path / "clip.mkv")
    played = streaming(source, include_original=True).playlist("orig")
    assert played.times == pytest.approx(steady(1.5), abs=0.002)
    assert played.beep == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "clip",
    [
        Clip(times=steady(1.5), video_codec="mpeg4"),
        Clip(times=steady(1.5), sound_codec="pcm_s16le"),
        Clip(times=steady(1.5), pixel_format="yuv422p"),
    ],
    ids=["MPEG-4", "PCM", "4:2:2"],
)
def test_an_original_that_players_cannot_take_is_encoded(
    tmp_path: Path, streaming: Streaming, clip: Clip
) -> None:
    stream = streaming(clip.write(tmp_path / "clip.mov"), include_original=True)
    with av.open(str(stream.folder / "adaptive-orig-000.ts")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
    played = stream.playlist("orig")
    assert played.size == (320, 240)
    assert played.frames[0].format.name == "yuv420p"
    assert played.flash == pytest.approx(1, abs=0.001)
    assert "orig" not in stream.master


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
    stream = streaming(clip.write(tmp_path / file_name), SMALL, LARGE)
    for name in ("120p-150", "240p-600"):
        played = stream.playlist(name)
        assert played.times == pytest.approx(clip.times, abs=0.002)
        assert played.flash == pytest.approx(11.5, abs=0.002)
        assert played.beep == pytest.approx(11.5, abs=0.03)
        # The first frame at 6 s or later begins a segment, and so does the one at 12 s.
        starts = [segment_start(segment.file) for segment in played.segments]
        assert [start - starts[0] for start in starts] == pytest.approx([0, 6, 12], abs=0.002)
        # The last frame is shown for as long as there is sound.
        assert [segment.seconds for segment in played.segments] == pytest.approx([6, 6, 2.3], abs=0.01)


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


def test_variants_of_the_same_name_are_one(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(1.5)).write(tmp_path / "clip.mp4")
    stream = streaming(source, SMALL, SMALL)
    assert stream.task_output["variants_generated"] == 1
    assert stream.master.count("adaptive-120p-150.m3u8") == 1


def test_a_second_run_replaces_the_first(tmp_path: Path, streaming: Streaming) -> None:
    # A job that a server's crash interrupted is run once more.
    (tmp_path / ".output.partial").mkdir()
    (tmp_path / ".output.partial" / "adaptive-120p-150-000.ts").touch()
    source = Clip(times=steady(1.5)).write(tmp_path / "clip.mp4")
    streaming(source, LARGE)
    stream = streaming(source, SMALL)
    assert {file.name for file in stream.folder.iterdir()} == {
        "adaptive.m3u8",
        "adaptive-120p-150.m3u8",
        "adaptive-120p-150-000.ts",
    }


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(4), flash=3.5).write(tmp_path / "clip.mp4")
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = b"\xff" * 500
    source.write_bytes(content)
    played = streaming(source).playlist("120p-150")
    assert played.duration == pytest.approx(4, abs=0.1)
    assert played.flash == pytest.approx(played.beep or 0, abs=0.1)


def assert_fails(streaming: Streaming, source: Path, message: str) -> None:
    with pytest.raises(TaskFailedError, match=f"^{re.escape(source.name)}: {message}"):
        streaming(source, include_original=True)
    assert not (source.parent / "output").exists()


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
def test_a_truncated_video_fails(tmp_path: Path, streaming: Streaming, name: str) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    source = Clip(times=steady(4), muxer_options=options).write(tmp_path / name)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    assert_fails(streaming, source, r"the video is truncated or damaged, only \d\.\d of its 4\.\d seconds")


def test_a_video_without_its_index_fails(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(1.5)).write(tmp_path / "cut.mp4")
    source.write_bytes(source.read_bytes()[:2000])
    assert_fails(streaming, source, r"the video cannot be decoded \(")


def test_sound_alone_fails(tmp_path: Path, streaming: Streaming) -> None:
    source = tmp_path / "song.m4a"
    with av.open(str(source), mode="w") as container:
        sound = container.add_stream("aac", rate=SOUND_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        for frame in (AudioFrame(format="s16", layout="stereo", samples=4096), None):
            if frame is not None:
                frame.sample_rate = SOUND_RATE
            container.mux(sound.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    assert_fails(streaming, source, "the file has only audio, no video$")


def test_other_files_fail(tmp_path: Path, streaming: Streaming) -> None:
    empty, text, photo = tmp_path / "empty.mp4", tmp_path / "notes.mp4", tmp_path / "photo.mp4"
    empty.touch()
    text.write_text("Buy milk. " * 100)
    draw_photo(tmp_path / "photo.jpg", size=(64, 48))
    (tmp_path / "photo.jpg").rename(photo)
    assert_fails(streaming, empty, "the file is empty$")
    assert_fails(streaming, text, r"the video cannot be decoded \(")
    assert_fails(streaming, photo, "this is an image, not a video$")


def test_a_size_that_h264_cannot_have_fails(tmp_path: Path, streaming: Streaming) -> None:
    source = Clip(times=steady(1.5)).write(tmp_path / "clip.mp4")
    with pytest.raises(
        TaskFailedError, match=r"^clip\.mp4: 26666 x 20000 pixels are more than H\.264 allows"
    ):
        streaming(source, SMALL, HlsVariant(resolution=20_000, bitrate=100))
    assert not (tmp_path / "output").exists()


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    source = Clip(times=steady(1.5)).write(tmp_path / "clip.mp4")
    with pytest.raises(TaskFailedError, match=r"^output: cannot be written: "):
        stream_of(source, tmp_path / "missing", HlsStreamingParams(variants=(SMALL,)))


async def test_from_the_client_to_the_folder_that_plays(tmp_path: Path) -> None:
    source = Clip(times=steady(8), flash=6.5).write(tmp_path / "clip.mp4")
    progress: list[int] = []

    def note_progress(job: JobResponse[HlsStreamingOutput]) -> None:
        progress.append(job.progress)

    async with LocalServer(workers=1) as server, server.client() as client:
        job = await client.hls_streaming.generate_manifest(
            source, variants=(LARGE, SMALL), include_original=True, wait=True, on_progress=note_progress
        )
        assert job.status == "completed", job.error_message
        assert job.output.variants_generated == 2
        assert job.params["output_path"] == "output"
        master = await client.hls_streaming.download(job, tmp_path / "stream")
    assert progress == sorted(progress)
    assert len(set(progress)) > 3
    assert master == tmp_path / "stream" / "adaptive.m3u8"
    assert len(list(master.parent.glob("*.ts"))) == job.output.total_segments
    for name in ("240p-600", "120p-150", "orig"):
        played = Playlist(master.parent / f"adaptive-{name}.m3u8")
        assert played.duration == pytest.approx(8, abs=0.05)
        assert played.beep == pytest.approx(played.flash, abs=0.05)
