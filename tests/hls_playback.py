"""Runs the HLS task, and plays its playlists as a player would: what is seen and heard, and when."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from pydantic import TypeAdapter

from cl_client.local.tasks.contract import TaskContext
from cl_client.local.tasks.hls import hls_streaming
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from pictures import BLUE, GREEN, RED, YELLOW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client.models import JSONObject
    from pictures import Colour

PAIRS = TypeAdapter(list[tuple[str, str]])
LARGE, SMALL = HlsVariant(resolution=240, bitrate=600), HlsVariant(resolution=120, bitrate=150)


@dataclass(frozen=True)
class Segment:
    file: Path
    seconds: float


class Playlist:
    """A media playlist, and what a player shows of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text()
        assert text.startswith("#EXTM3U\n")
        assert text.endswith("#EXT-X-ENDLIST\n")
        self.segments = [
            Segment(path.parent / name, float(seconds))
            for seconds, name in PAIRS.validate_python(re.findall(r"#EXTINF:([\d.]+),\n(\S+)\n", text))
        ]
        self.frames: list[VideoFrame] = []
        self.times: list[float] = []
        self.beep: float | None = None
        self.sound_seconds = 0.0
        self._play()

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].width, self.frames[0].height

    @property
    def flash(self) -> float:
        """When the first white frame is shown."""
        return next(time for time, frame in zip(self.times, self.frames, strict=True) if is_white(frame))

    def _play(self) -> None:
        with av.open(str(self.path)) as container:
            self.duration = (container.duration or 0) / av.time_base
            picture, sound = container.streams.video[0], [*container.streams.audio]
            start = 0.0
            for packet in container.demux(picture, *sound):
                assert packet.dts is None or packet.dts >= 0
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame):
                        start = start if self.frames else frame.time
                        self.frames.append(frame)
                        self.times.append(frame.time)
                    elif isinstance(frame, AudioFrame):
                        self._hear(frame)
        self.times = [time - start for time in self.times]
        self.beep = self.beep - start if self.beep is not None else None

    def _hear(self, frame: AudioFrame) -> None:
        self.sound_seconds += frame.samples / frame.sample_rate
        samples = array("f", bytes(frame.planes[0])[: 4 * frame.samples])
        loud = next((index for index, sample in enumerate(samples) if abs(sample) > 0.2), None)
        if self.beep is None and loud is not None:
            self.beep = (frame.time or 0) + loud / frame.sample_rate


def is_white(frame: VideoFrame) -> bool:
    return all(min(pixel(frame, x, y)) > 200 for x, y in ((0.2, 0.2), (0.8, 0.8)))


def pixel(frame: VideoFrame, x: float, y: float) -> Colour:
    """The pixel at these parts of width and height."""
    plane = frame.reformat(format="rgb24").planes[0]
    at = round(y * (frame.height - 1)) * plane.line_size + 3 * round(x * (frame.width - 1))
    red, green, blue = bytes(plane)[at : at + 3]
    return red, green, blue


def assert_corners(frame: VideoFrame, expected: Sequence[Colour] = (RED, GREEN, BLUE, YELLOW)) -> None:
    for index, colour in enumerate(expected):
        seen = pixel(frame, 0.2 + 0.6 * (index % 2), 0.2 + 0.6 * (index // 2))
        assert all(abs(a - b) <= 24 for a, b in zip(seen, colour, strict=True)), (index, seen, colour)


def segment_start(file: Path) -> float:
    """When the first frame of a segment is shown, which has to be a keyframe."""
    with av.open(str(file)) as container:
        packet = next(container.demux(container.streams.video[0]))
        assert packet.is_keyframe, f"{file.name} does not begin with a keyframe"
        assert packet.pts is not None
        return packet.pts * float(packet.time_base)


class Stream:
    """What the task has made of a video."""

    def __init__(
        self, folder: Path, task_output: JSONObject, progress: list[int], warnings: list[str]
    ) -> None:
        self.folder = folder
        self.task_output = task_output
        self.progress = progress
        self.warnings = warnings
        self.master = (folder / "adaptive.m3u8").read_text()

    def playlist(self, name: str) -> Playlist:
        return Playlist(self.folder / f"adaptive-{name}.m3u8")


def stream_of(source: Path, folder: Path, params: HlsStreamingParams) -> Stream:
    progress: list[int] = []
    output = folder / "output"
    context = TaskContext(params, source, output, folder, progress.append)
    try:
        task_output = hls_streaming.run(context)
    finally:
        assert not list(folder.glob(".*")), "a partial folder is left behind"
    return Stream(output, task_output, progress, context.warnings)


class Streaming(Protocol):
    def __call__(self, source: Path, *variants: HlsVariant, include_original: bool = False) -> Stream: ...


def streaming_to(folder: Path) -> Streaming:
    """Runs the task, in the quality of `SMALL` unless others are named."""

    def run(source: Path, *variants: HlsVariant, include_original: bool = False) -> Stream:
        params = HlsStreamingParams(variants=variants or (SMALL,), include_original=include_original)
        return stream_of(source, folder, params)

    return run
