"""The hash of a video is that of its I-frames as stored, by the numbers of ffprobe."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import av
import pytest

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.hashing.key_frames import hash_key_frames
from expected_hashes import shown_key_frames
from moving_clips import MovingClip

if TYPE_CHECKING:
    from pathlib import Path

FAST_START: Final = {"movflags": "+faststart"}
X264: Final = {"bf": "3", "g": "12", "preset": "veryfast"}
OPEN: Final = {**X264, "x264-params": "open-gop=1"}
X265: Final = {"preset": "ultrafast", "x265-params": "open-gop=1:keyint=12:bframes=3:log-level=none"}
B: Final = {"bf": "2", "g": "12"}
CLIPS: Final = {
    "MP4, B-frames": MovingClip(
        container="mp4", codec="libx264", options=X264, muxer=FAST_START, sound="aac"
    ),
    "MP4, open GOPs": MovingClip(container="mp4", codec="libx264", options=OPEN, muxer=FAST_START),
    "MP4, in fragments": MovingClip(
        container="mp4", codec="libx264", options=X264, muxer={"movflags": "frag_keyframe+empty_moov"}
    ),
    "MP4, H.265": MovingClip(container="mp4", codec="libx265", options=X265, muxer=FAST_START),
    "MP4, interlaced": MovingClip(
        container="mp4", codec="libx264", options={**X264, "x264-params": "interlaced=1"}, muxer=FAST_START
    ),
    "MP4, slices": MovingClip(
        container="mp4", codec="libx264", options={**X264, "x264-params": "slices=4"}, muxer=FAST_START
    ),
    "MP4, intra refresh": MovingClip(
        container="mp4", codec="libx264", options={**X264, "x264-params": "intra-refresh=1"}, muxer=FAST_START
    ),
    "MOV": MovingClip(container="mov", codec="mpeg4", options=B, muxer=FAST_START, sound="pcm_s16le"),
    "MOV, ProRes": MovingClip(
        container="mov", codec="prores_ks", pixel_format="yuv422p10le", muxer=FAST_START, frames=10
    ),
    "MKV, open GOPs": MovingClip(container="matroska", codec="libx264", options=OPEN, sound="aac"),
    "MKV, H.265": MovingClip(container="matroska", codec="libx265", options=X265),
    "MKV, FFV1": MovingClip(container="matroska", codec="ffv1", frames=10),
    "WebM, VP8": MovingClip(container="webm", codec="libvpx", options={"g": "12", "cpu-used": "8"}),
    "WebM, VP9 with hidden frames": MovingClip(
        container="webm",
        codec="libvpx-vp9",
        options={"g": "12", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "16"},
    ),
    "TS": MovingClip(container="mpegts", codec="libx264", options=OPEN, sound="aac"),
    "TS, MPEG-2": MovingClip(container="mpegts", codec="mpeg2video", options=B, sound="mp2"),
    "AVI, B-frames": MovingClip(container="avi", codec="mpeg4", options=B, sound="libmp3lame"),
    "AVI, H.264": MovingClip(container="avi", codec="libx264", options=X264),
    "AVI, Motion JPEG": MovingClip(container="avi", codec="mjpeg", pixel_format="yuvj420p", frames=10),
    "FLV": MovingClip(container="flv", codec="flv", options={"g": "12"}),
    "WMV": MovingClip(container="asf", codec="wmv2", options={"g": "12"}),
    "MPEG-2 alone": MovingClip(container="mpeg2video", codec="mpeg2video", options=B),
}
PARTLY: Final = "a part of the video cannot be decoded: the hash covers the key frames of the others"
WITH_TIMES: Final = [name for name in CLIPS if name.startswith(("MP4", "MOV", "MKV", "WebM", "TS"))]
"""Those whose packets all have a display time."""


def hashed(path: Path, warnings: list[str] | None = None) -> str:
    kept: list[str] = [] if warnings is None else warnings
    return hash_key_frames(path, lambda _: None, kept.append)


@pytest.mark.parametrize("name", WITH_TIMES)
def test_the_hash_is_that_of_the_bytes_at_the_i_frames(tmp_path: Path, name: str) -> None:
    path = CLIPS[name].write(tmp_path / "clip")
    content = path.read_bytes()
    frames = shown_key_frames(path)
    assert frames
    expected = b"".join(content[start : start + len(packet)] for start, packet in frames)
    assert hashed(path) == hashlib.sha512(expected).hexdigest()


@pytest.mark.parametrize("name", [name for name in CLIPS if name.startswith(("MP4", "MOV"))])
def test_in_mp4_these_bytes_are_the_packets(tmp_path: Path, name: str) -> None:
    path = CLIPS[name].write(tmp_path / "clip")
    expected = b"".join(packet for _, packet in shown_key_frames(path))
    assert hashed(path) == hashlib.sha512(expected).hexdigest()


def of_ffprobe(path: Path) -> str:
    """The hash as a real server computes it, which however takes no row with an empty fourth column."""
    entries = "frame=pkt_pos,pkt_size,pict_type"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0"]
    done = subprocess.run([*command, path], capture_output=True, check=True)  # noqa: S603 - the test's file
    content, digest = path.read_bytes(), hashlib.sha512()
    rows = [row for row in csv.reader(io.StringIO(done.stdout.decode())) if row]
    assert rows
    for start, size, kind, *_ in rows:
        if kind == "I":
            digest.update(content[int(start) : int(start) + int(size)])
    return digest.hexdigest()


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="the programs of FFmpeg are not installed")
@pytest.mark.parametrize("name", CLIPS)
def test_the_hash_is_that_of_ffprobe(tmp_path: Path, name: str) -> None:
    path = CLIPS[name].write(tmp_path / "clip")
    assert hashed(path) == of_ffprobe(path)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="the programs of FFmpeg are not installed")
@pytest.mark.parametrize(
    ("name", "start", "end"), [("TS", 188 * 200, -1000), ("TS, MPEG-2", 188 * 300, None)]
)
def test_a_recording_that_begins_and_ends_anywhere(
    tmp_path: Path, name: str, start: int, end: int | None
) -> None:
    path = CLIPS[name].write(tmp_path / "clip")
    path.write_bytes(path.read_bytes()[start:end])
    assert hashed(path) == of_ffprobe(path)


@pytest.mark.parametrize("name", ["MP4, B-frames", "MKV, open GOPs", "AVI, H.264"])
def test_a_truncated_video_has_the_hash_of_its_readable_key_frames(tmp_path: Path, name: str) -> None:
    path = CLIPS[name].write(tmp_path / "clip")
    content = path.read_bytes()
    warnings: list[str] = []
    whole = hashed(path, warnings)
    assert not warnings
    path.write_bytes(content[: len(content) * 2 // 3])
    assert hashed(path, warnings) != whole
    if name.startswith("MP4"):
        assert warnings == [PARTLY]
    if shutil.which("ffprobe"):
        assert hashed(path) == of_ffprobe(path)


def test_an_index_at_the_end_makes_no_difference(tmp_path: Path) -> None:
    """Real servers read the file from a pipe, and cannot hash such a file."""
    clip = CLIPS["MP4, B-frames"]
    at_the_end = MovingClip(container="mp4", codec="libx264", options=X264, sound="aac")
    assert hashed(at_the_end.write(tmp_path / "end.mp4")) == hashed(clip.write(tmp_path / "start.mp4"))


def test_metadata_and_sound_do_not_count(tmp_path: Path) -> None:
    clip = MovingClip(container="mp4", codec="libx264", options=X264, sound="aac")
    silent = MovingClip(container="mp4", codec="libx264", options=X264)
    other = MovingClip(container="mp4", codec="libx264", options=X264, sound="aac", sound_seed=3)
    hashes = {hashed(one.write(tmp_path / "clip.mp4")) for one in (clip, silent, other)}
    assert len(hashes) == 1
    assert (
        hashed(MovingClip(container="mp4", codec="libx264", options=X264, seed=9).write(tmp_path / "b"))
        not in hashes
    )


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
def test_a_program_stream_which_has_no_position_for_some_packets(tmp_path: Path, codec: str) -> None:
    path = MovingClip(container="mpeg", codec=codec, options=B, sound="mp2").write(tmp_path / "clip.mpg")
    with av.open(str(path)) as container:
        assert any(packet.pos is None for packet in container.demux(video=0) if packet.size)
    first = hashed(path)
    other = MovingClip(container="mpeg", codec=codec, options=B, sound="mp2", seed=9)
    assert hashed(other.write(tmp_path / "other.mpg")) != first


def test_a_file_without_video_fails(tmp_path: Path) -> None:
    path = MovingClip(container="mp4", codec="libx264", sound="aac").write(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[:200] + bytes(500))
    with pytest.raises(
        TaskFailedError, match=r"^clip\.mp4: .*; the algorithm md5 hashes the bytes of any file$"
    ):
        hashed(path)


def test_progress_grows(tmp_path: Path) -> None:
    progress: list[int] = []
    hash_key_frames(CLIPS["MP4, B-frames"].write(tmp_path / "clip.mp4"), progress.append, print)
    assert len(progress) > 2
    assert progress == sorted(progress)
    assert progress[-1] <= 99
