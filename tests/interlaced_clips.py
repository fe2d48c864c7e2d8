"""Interlaced videos of a moving bar, and whether its edges are combed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.video.frame import VideoFrame
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE = 25
SPEED = 320
"""Pixels per second."""
BAR = 60


@dataclass(frozen=True, kw_only=True)
class InterlacedClip:
    """A white bar on black: the even lines of a frame show it earlier than the odd ones.

    Attributes:
        interlaced: For each frame, whether it is.
        flagged: Whether all of them are described so.
        offset: The time of the first frame in an MPEG-TS file, to join several.
    """

    interlaced: tuple[bool, ...] = (True,) * 20
    flagged: bool = True
    offset: float = 0
    codec: str = "libx264"
    size: tuple[int, int] = (320, 240)

    def write(self, path: Path) -> Path:
        with av.open(str(path), mode="w", options={"output_ts_offset": str(self.offset)}) as container:
            video = container.add_stream(self.codec, rate=RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
            assert isinstance(video, av.VideoStream)
            video.width, video.height = self.size
            video.pix_fmt = "yuv420p"
            video.bit_rate = 8_000_000
            if self.flagged:
                is_h264 = self.codec == "libx264"
                video.options = {"x264-params": "tff=1"} if is_h264 else {"flags": "+ildct+ilme"}
            for frame in self._frames():
                container.mux(video.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
            container.mux(video.encode(None))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        return path

    def _frames(self) -> Iterator[VideoFrame]:
        odd_lines = Image.new("L", self.size)
        for y in range(1, self.size[1], 2):
            ImageDraw.Draw(odd_lines).line((0, y, self.size[0], y), fill=255)
        for index, interlaced in enumerate(self.interlaced):
            picture = self._picture(index / RATE)
            if interlaced:
                picture.paste(self._picture((index + 0.5) / RATE), mask=odd_lines)
            frame = VideoFrame.from_bytes(picture.convert("RGBA").tobytes(), *self.size)
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            yield frame

    def _picture(self, seconds: float) -> Image.Image:
        picture = Image.new("RGB", self.size)
        left = round(20 + seconds * SPEED)
        ImageDraw.Draw(picture).rectangle((left, 0, left + BAR, self.size[1]), fill=(255, 255, 255))
        return picture


def combing(picture: Image.Image | VideoFrame) -> float:
    """How much neighbouring lines differ, on average: 0 to 255."""
    if isinstance(picture, VideoFrame):
        plane = picture.reformat(format="gray").planes[0]
        size = picture.width, picture.height
        picture = Image.frombuffer("L", size, bytes(plane), "raw", "L", plane.line_size, 1)
    grey = picture.convert("L")
    width, height = grey.size
    pixels = grey.tobytes()
    lower = pixels[width:]
    return sum(abs(a - b) for a, b in zip(pixels, lower, strict=False)) / (width * (height - 1))
