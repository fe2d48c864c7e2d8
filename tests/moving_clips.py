"""Videos whose every frame differs: moving noise, with a cut in the middle, in any codec and container."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SIZE = (128, 96)
_RATE = 25
_SOUND_RATE = 44_100


@dataclass(frozen=True, kw_only=True)
class MovingClip:
    """A video to be made.

    Attributes:
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the encoder.
        options: Those of the encoder.
        muxer: Options of the container.
        sound: The encoder of a sound track; None for no sound.
        seed: Other numbers make other videos.
        sound_seed: Other numbers make other sounds.
    """

    container: str
    codec: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    muxer: Mapping[str, str] = field(default_factory=dict[str, str])
    pixel_format: str = "yuv420p"
    sound: str | None = None
    frames: int = 40
    seed: int = 1
    sound_seed: int = 2

    def write(self, path: Path) -> Path:
        with av.open(str(path), "w", format=self.container, options=dict(self.muxer)) as container:
            video = container.add_stream(self.codec, rate=_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
            assert isinstance(video, av.VideoStream)
            video.width, video.height = SIZE
            video.pix_fmt, video.options = self.pixel_format, dict(self.options)
            sound = None
            if self.sound is not None:
                sound = container.add_stream(self.sound, rate=_SOUND_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
                assert isinstance(sound, av.AudioStream)
                sound.layout = "mono"
            for frame, samples in itertools.chain(
                zip(self._pictures(), self._sounds(), strict=True), [(None, None)]
            ):
                container.mux(video.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
                if sound is not None:
                    container.mux(sound.encode(samples))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        return path

    def _pictures(self) -> Iterator[VideoFrame]:
        width, height = SIZE
        noise = np.random.default_rng(self.seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
        for index in range(self.frames):
            moved = np.roll(noise, index * 3, 1)
            frame = VideoFrame.from_ndarray(moved if index < self.frames // 2 else 255 - moved, "rgb24")
            frame.pts = index
            yield frame

    def _sounds(self) -> Iterator[AudioFrame]:
        numbers = np.random.default_rng(self.sound_seed)
        samples = _SOUND_RATE // _RATE
        for index in range(self.frames):
            noise = numbers.normal(0, 3000, (1, samples)).astype(np.int16)
            frame = AudioFrame.from_ndarray(noise, "s16", "mono")
            frame.sample_rate, frame.pts = _SOUND_RATE, index * samples
            yield frame
