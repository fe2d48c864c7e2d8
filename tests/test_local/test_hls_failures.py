"""Videos that are damaged, and files of which no HLS stream can be made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import av
import pytest
from av.audio.frame import AudioFrame

from cl_client.local.samples import draw_photo
from cl_client.local.tasks.contract import TaskFailedError
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from hls_playback import SMALL, stream_of
from video_clips import SOUND_RATE, Clip, steady

if TYPE_CHECKING:
    from pathlib import Path

    from hls_playback import Streaming


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
