"""Videos of every kind, made for a test: what they show and sound like is known to the millisecond."""

from __future__ import annotations

import itertools
import math
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeAlias

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import Image

from pictures import corners_picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Rotation: TypeAlias = Literal[0, 90, 180, 270]

WHITE = (255, 255, 255)
SOUND_RATE = 44_100
FLASH_SECONDS = 0.2
BEEP_HZ = 1000


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A video to be made: four coloured corners, white while there is a flash, with a beep at the same time.

    Attributes:
        times: When each frame is shown, in seconds.
        flash: When the flash and the beep begin, in seconds.
        rotation: Degrees clockwise by which a player has to turn the stored frames.
        sound_from: Seconds at which the sound begins, or None for no sound.
        sound_gap: From when to when the file has no sound, in seconds.
        tick: The unit of the frames' times, in seconds.
    """

    times: Sequence[float]
    flash: float = 1.0
    size: tuple[int, int] = (320, 240)
    rotation: Rotation = 0
    sound_from: float | None = 0
    sound_gap: tuple[float, float] | None = None
    video_codec: str = "libx264"
    sound_codec: str = "aac"
    sound_layout: str = "mono"
    pixel_format: str = "yuv420p"
    pixel_shape: Fraction | None = None
    tick: Fraction = Fraction(1, 1000)
    muxer_options: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def seconds(self) -> float:
        """Its duration: the last frame is shown as long as the one before."""
        return self.times[-1] + (self.times[-1] - self.times[-2] if len(self.times) > 1 else 0)

    def write(self, path: Path) -> Path:
        with av.open(str(path), mode="w", options=self.muxer_options) as container:
            video = container.add_stream(self.video_codec, rate=25)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
            assert isinstance(video, av.VideoStream)
            video.width, video.height = self.size
            video.pix_fmt = self.pixel_format
            if self.video_codec == "libx264":
                video.options = {"preset": "ultrafast", "bf": "2"}
                video.codec_context.time_base = self.tick
            if self.pixel_shape is not None:
                video.codec_context.sample_aspect_ratio = self.pixel_shape
            if self.rotation:
                video.set_display_rotation(-self.rotation)  # takes it counter-clockwise
            sound = None
            if self.sound_from is not None:
                sound = container.add_stream(self.sound_codec, rate=SOUND_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
                assert isinstance(sound, av.AudioStream)
                sound.layout = self.sound_layout
            for picture in itertools.chain(self._pictures(), (None,)):
                container.mux(video.encode(picture))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
            if sound is not None:
                for samples in itertools.chain(self._sounds(self.sound_from or 0), (None,)):
                    container.mux(sound.encode(samples))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        return path

    def _pictures(self) -> Iterable[VideoFrame]:
        corners, flash = corners_picture(self.size), Image.new("RGB", self.size, WHITE)
        for time in self.times:
            picture = flash if self.flash <= time < self.flash + FLASH_SECONDS else corners
            frame = VideoFrame.from_bytes(picture.convert("RGBA").tobytes(), *self.size)
            frame = frame.reformat(format=self.pixel_format)
            frame.pts, frame.time_base = round(time / self.tick), self.tick
            yield frame

    def _sounds(self, begin: float) -> Iterable[AudioFrame]:
        samples = array("h", bytes(2 * round(self.seconds * SOUND_RATE)))
        first = round(self.flash * SOUND_RATE)
        for index in range(round(FLASH_SECONDS * SOUND_RATE)):
            samples[first + index] = round(20_000 * math.sin(math.tau * BEEP_HZ * index / SOUND_RATE))
        pause, resume = self.sound_gap or (self.seconds, self.seconds)
        for start, end in ((begin, pause), (resume, self.seconds)):
            part = samples[round(start * SOUND_RATE) : round(end * SOUND_RATE)]
            if part:
                frame = AudioFrame(format="s16", layout="mono", samples=len(part))
                frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
                frame.pts = round(start * SOUND_RATE)
                frame.planes[0].update(part.tobytes())
                yield frame


def steady(seconds: float, rate: float | Fraction = 25) -> list[float]:
    return [float(index / rate) for index in range(round(seconds * rate))]
