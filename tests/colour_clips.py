"""Videos of flat colours, coded by the formulas of the standards, and what the tasks make of them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from PIL import Image

from cl_client.local.tasks import media_thumbnail
from cl_client.local.tasks.contract import TaskContext
from cl_client.plugins.media_thumbnail import MediaThumbnailParams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TypeAlias

    Parts: TypeAlias = tuple[float, float, float]
    Tags: TypeAlias = tuple[int, int, int]

# The weights of red and blue in luma: ITU-R BT.709, BT.601, BT.2020.
KR_KB: Final = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
UNSPECIFIED: Final = 2


@dataclass(frozen=True, kw_only=True)
class ColourClip:
    """A video of vertical stripes.

    Attributes:
        stripes: The coded red, green and blue of each, from 0 to 1.
        matrix: The one of `KR_KB` by which they become YUV.
        tags: Primaries, transfer and matrix as the file describes them.
    """

    stripes: Sequence[Parts]
    matrix: int = 1
    tags: Tags = (UNSPECIFIED, UNSPECIFIED, UNSPECIFIED)
    full_range: bool = False
    size: tuple[int, int] = (320, 240)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict[str, str])
    muxer_options: dict[str, str] = field(default_factory=dict[str, str])
    frames: int = 5

    def write(self, path: Path) -> Path:
        with av.open(str(path), mode="w", options=self.muxer_options) as container:
            video = container.add_stream(self.codec, rate=5)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
            assert isinstance(video, av.VideoStream)
            video.width, video.height = self.size
            video.pix_fmt = self.pixel_format
            lossless = {"preset": "ultrafast", "qp": "0"} if self.codec == "libx264" else {}
            video.options = {**lossless, **self.options}
            video.color_primaries, video.color_trc, video.colorspace = self.tags
            if not video.pix_fmt.startswith("yuvj"):
                video.color_range = ColorRange.JPEG if self.full_range else ColorRange.MPEG
            for index in range(self.frames):
                container.mux(video.encode(self.frame(index)))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
            container.mux(video.encode(None))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        return path

    def frame(self, index: int = 0) -> VideoFrame:
        frame = VideoFrame(*self.size, self.pixel_format)
        frame.pts, frame.time_base = index, Fraction(1, 5)
        frame.color_primaries, frame.color_trc, frame.colorspace = self.tags
        frame.color_range = ColorRange.JPEG if self.full_range else ColorRange.MPEG
        in_gbr = self.pixel_format.startswith("gbr")
        stripes = [(g, b, r) if in_gbr else self._yuv(r, g, b) for r, g, b in self.stripes]
        maximum = (1 << frame.format.components[0].bits) - 1
        for number, plane in enumerate(frame.planes):
            width = -(-plane.width // len(stripes))
            line = array("B" if maximum == 255 else "H")
            for stripe in stripes:
                line.extend([round(stripe[number] * maximum)] * width)
            row = line[: plane.width].tobytes()
            plane.update(row.ljust(plane.line_size, b"\0") * plane.height)
        return frame

    def _yuv(self, red: float, green: float, blue: float) -> Parts:
        """As parts of the largest number."""
        kr, kb = KR_KB[self.matrix]
        y = kr * red + (1 - kr - kb) * green + kb * blue
        cb, cr = (blue - y) / (2 - 2 * kb), (red - y) / (2 - 2 * kr)
        if self.full_range:
            return y, cb + 128 / 255, cr + 128 / 255
        unit = 4 / 1023 if "10" in self.pixel_format else 1 / 255
        return (16 + 219 * y) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit


def thumbnail_of(source: Path, folder: Path, side: int = 320) -> Image.Image:
    """Run the task.

    Args:
        source: The video.
        folder: For the output.
        side: The longest one.

    Returns:
        The thumbnail.
    """
    output = folder / "thumbnail.jpg"
    params = MediaThumbnailParams(width=side, height=side)
    _ = media_thumbnail.run(TaskContext(params, source, output, folder, lambda _: None))
    with Image.open(output) as image:
        image.load()
    return image
