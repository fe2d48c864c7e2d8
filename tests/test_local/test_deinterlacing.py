"""Interlaced videos have no combed edges in thumbnails and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from av.video.frame import VideoFrame

from cl_client.local.tasks.videos.deinterlacing import deinterlaced
from cl_client.local.tasks.videos.opening import open_container
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from colour_clips import thumbnail_of
from hls_playback import stream_of
from interlaced_clips import RATE, InterlacedClip, combing

if TYPE_CHECKING:
    from pathlib import Path

    from hls_playback import Playlist

FULL_SIZE = HlsVariant(resolution=240, bitrate=4000)
COMBED = 5
SMOOTH = 1.5


each_codec = pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])


@pytest.fixture
def source(codec: str, tmp_path: Path) -> Path:
    return InterlacedClip(codec=codec).write(tmp_path / "clip.ts")


def played(source: Path, folder: Path, name: str = "240p-4000") -> Playlist:
    params = HlsStreamingParams(variants=(FULL_SIZE,), include_original=True)
    return stream_of(source, folder, params).playlist(name)


@each_codec
def test_the_drawn_video_is_combed(source: Path) -> None:
    with open_container(source) as container:
        for frame in container.decode(video=0):
            assert frame.interlaced_frame
            assert combing(frame) > COMBED


@each_codec
def test_a_thumbnail_is_not_combed(tmp_path: Path, source: Path) -> None:
    assert combing(thumbnail_of(source, tmp_path)) < SMOOTH


@each_codec
@pytest.mark.parametrize("name", ["240p-4000", "orig"])
def test_a_stream_is_not_combed_and_keeps_its_frames(tmp_path: Path, source: Path, name: str) -> None:
    playlist = played(source, tmp_path, name)
    assert playlist.times == pytest.approx([index / RATE for index in range(20)], abs=0.001)
    for frame in playlist.frames:
        assert combing(frame) < SMOOTH


def test_one_frame(tmp_path: Path) -> None:
    source = InterlacedClip(interlaced=(True,)).write(tmp_path / "clip.mp4")
    assert len(played(source, tmp_path).frames) == 1
    assert combing(thumbnail_of(source, tmp_path)) < SMOOTH


def test_a_change_of_size_on_the_way(tmp_path: Path) -> None:
    large = InterlacedClip().write(tmp_path / "large.ts")
    small = InterlacedClip(size=(256, 144), offset=0.88).write(tmp_path / "small.ts")
    # The muxer moves a file without an offset by two frames more.
    joined = tmp_path / "joined.ts"
    joined.write_bytes(large.read_bytes() + small.read_bytes())
    playlist = played(joined, tmp_path)
    assert playlist.times == pytest.approx([index / RATE for index in range(40)], abs=0.001)
    assert max(combing(frame) for frame in playlist.frames) < SMOOTH


def test_progressive_frames_stay_as_they_are(tmp_path: Path) -> None:
    film = InterlacedClip(flagged=False, interlaced=(False,) * 5).write(tmp_path / "film.ts")
    field = InterlacedClip(offset=0.2).write(tmp_path / "fields.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(film.read_bytes() + field.read_bytes() + film.read_bytes())
    with open_container(joined) as container:
        stored = list(container.decode(video=0))
    with open_container(joined) as container:
        shown = list(deinterlaced(container.decode(video=0)))
    assert [frame.pts for frame in shown] == [frame.pts for frame in stored]
    for before, after in zip(stored, shown, strict=True):
        assert isinstance(after, VideoFrame)
        same = before.to_ndarray().tobytes() == after.to_ndarray().tobytes()
        assert same is not before.interlaced_frame
