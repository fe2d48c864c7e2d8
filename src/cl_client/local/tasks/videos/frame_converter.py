"""Conversion of video frames to what is encoded or shown: scaled, upright, 8 bits, standard range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from cl_client.local.tasks.videos.colours import Colour, specify_colour

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.buffer import Buffer
    from av.filter.context import FilterContext

_CLOCKWISE: Final[dict[int, tuple[tuple[str, str | None], ...]]] = {
    0: (),
    1: (("transpose", "clock"),),
    2: (("hflip", None), ("vflip", None)),
    3: (("transpose", "cclock"),),
}
"""The filters for each number of quarter turns."""
_CUBE_FORMAT: Final = "gbrpf32le"
"""For other planar formats, FFmpeg's filter swaps the channels."""
_FALLBACK_CLOCK: Final = Fraction(1, 25)


@dataclass(frozen=True, slots=True)
class Turn:
    """How stored frames are shown: first mirrored, then rotated.

    Attributes:
        mirrored: Whether left and right are exchanged, as in some recordings of a front camera.
        clockwise: Rotation in steps of 90 degrees, 0-3.
    """

    mirrored: bool = False
    clockwise: int = 0

    def applied_to(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of a turned picture, or that of a picture before the turn.

        Args:
            width: Pixels.
            height: Pixels.

        Returns:
            Width and height.
        """
        return (height, width) if self.clockwise % 2 else (width, height)


def turn_of(frame: VideoFrame) -> Turn:
    """Read a frame's display matrix. `VideoFrame.rotation` takes a mirrored frame for one on its head.

    Args:
        frame: The frame.

    Returns:
        The turn, to the nearest quarter.
    """
    # Its type in PyAV does not say what it maps.
    matrix = cast("Mapping[str, Buffer]", frame.side_data).get("DISPLAYMATRIX")
    if matrix is None:
        return Turn()
    a, b, _, c, d, *_ = memoryview(bytes(matrix)).cast("i")
    mirrored = a * d < b * c
    angle = math.atan2(-b, -a) if mirrored else math.atan2(b, a)
    return Turn(mirrored, round(angle / (math.pi / 2)) % 4)


class FrameConverter:
    """Converts frames to one size, pixel format and colour. Those of the input may change meanwhile.

    Transparent parts become black, as in players.

    Args:
        width: Pixels after the turn; even for 4:2:0.
        height: Pixels after the turn; even for 4:2:0.
        turn: How the frames are turned.
        pixel_format: FFmpeg's name; YUV gets the limited range.
        colour: The colours of the result.
    """

    def __init__(self, width: int, height: int, turn: Turn, pixel_format: str, colour: Colour) -> None:
        self._size = turn.applied_to(width, height)
        self._turn = turn
        self._pixel_format = pixel_format
        is_rgb = pixel_format.startswith("rgb")
        self._output = "out_range=pc" if is_rgb else f"out_range=tv:out_color_matrix={colour.matrix}"
        self._form: tuple[int, int, str, Colour, int] | None = None
        self._graph = Graph()

    def convert(self, frame: VideoFrame) -> VideoFrame:
        """Convert a frame.

        Args:
            frame: The frame, as stored. The description of its colours is completed.

        Returns:
            A new frame with the same times.
        """
        colour = specify_colour(frame)
        form = frame.width, frame.height, frame.format.name, colour, frame.color_range
        if form != self._form:
            self._form = form
            self._graph = self._graph_for(frame, colour)
        self._graph.vpush(frame, 0)
        return self._graph.vpull()

    def _graph_for(self, frame: VideoFrame, colour: Colour) -> Graph:
        graph = Graph()
        width, height = self._size
        nodes = [
            source_of(graph, frame),
            graph.add("scale", f"{width}:{height}:flags=bicubic:{self._output}"),
        ]
        cube = None
        if colour.needs_cube:
            cube = _cube_frame(colour, frame)
            nodes += [graph.add("format", _CUBE_FORMAT), graph.add("haldclut", "clut=first")]
            source_of(graph, cube).link_to(nodes[-1], 0, 1)
            nodes.append(graph.add("scale", self._output))
        if _is_transparent(frame):
            nodes += [graph.add("format", "gbrap"), graph.add("premultiply", "inplace=1")]
            nodes += [graph.add("format", "gbrp"), graph.add("scale", self._output)]
        nodes.append(graph.add("format", self._pixel_format))
        if self._turn.mirrored:
            nodes.append(graph.add("hflip"))
        nodes += [graph.add(name, arguments) for name, arguments in _CLOCKWISE[self._turn.clockwise]]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        if cube is not None:
            graph.vpush(cube, 1)
            graph.vpush(None, 1)
        return graph


def source_of(graph: Graph, frame: VideoFrame) -> FilterContext:
    """Add the source of a graph's frames.

    Args:
        graph: The graph.
        frame: The first frame, with complete colours.

    Returns:
        The source.
    """
    return graph.add(
        "buffer",
        width=str(frame.width),
        height=str(frame.height),
        pix_fmt=frame.format.name,
        time_base=str(frame.time_base or _FALLBACK_CLOCK),
        colorspace=str(frame.colorspace),
        range=str(frame.color_range),
    )


def _is_transparent(frame: VideoFrame) -> bool:
    # The fourth byte of Windows' bitmaps is undefined; most recorders leave it 0.
    has_alpha = any(component.is_alpha for component in frame.format.components)
    return has_alpha and frame.format.name not in {"bgra", "pal8"}


def _cube_frame(colour: Colour, frame: VideoFrame) -> VideoFrame:
    # Only here: NumPy takes 17 MB.
    from cl_client.local.tasks.videos.tone_mapping import colour_cube

    cube = VideoFrame.from_ndarray(colour_cube(colour), format="rgb48le")
    cube.pts, cube.time_base = 0, frame.time_base or _FALLBACK_CLOCK
    cube.colorspace, cube.color_range = 0, ColorRange.JPEG
    return cube
