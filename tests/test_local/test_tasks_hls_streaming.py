"""HLS streams of real videos, played back from the playlists and segments that were written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import av
import pytest

from cl_client.local import LocalServer
from cl_client.plugins.hls_streaming import HlsStreamingParams
from hls_playback import LARGE, PAIRS, SMALL, Playlist, Stream, assert_corners, segment_start, stream_of
from video_clips import Clip, steady

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.models import JobResponse
    from cl_client.plugins.hls_streaming import HlsStreamingOutput
    from hls_playback import Streaming


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
        "total_segments": len([name for name in segments if "orig" not in name]),
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
    assert [segment.seconds for segment in large.segments] == pytest.approx([2] * 5, abs=0.001)
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
    assert len(list(master.parent.glob("adaptive-*p-*.ts"))) == job.output.total_segments == 8
    for name in ("240p-600", "120p-150", "orig"):
        played = Playlist(master.parent / f"adaptive-{name}.m3u8")
        assert played.duration == pytest.approx(8, abs=0.05)
        assert played.beep == pytest.approx(played.flash, abs=0.05)
