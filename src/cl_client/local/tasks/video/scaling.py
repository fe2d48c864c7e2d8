"""Conversion of video frames to the format that H.264 players expect: scaled, upright, in 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from av.filter import Graph

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_TURNS: Final[dict[int, tuple[tuple[str, str | None], ...]]] = {
    0: (),
    1: (("transpose", "cclock"),),
    2: (("hflip", None), ("vflip", None)),
    3: (("transpose", "clock"),),
}
"""The filters for each number of quarter turns counter-clockwise."""


class FrameScaler:
    """Scales and rotates frames, to limited-range 4:2:0. Size and format of the input may change meanwhile.

    Args:
        width: Pixels after the rotation; even.
        height: Pixels after the rotation; even.
        quarter_turns: Rotation counter-clockwise in steps of 90 degrees, 0-3.
    """

    def __init__(self, width: int, height: int, quarter_turns: int) -> None:
        self._size = (height, width) if quarter_turns % 2 else (width, height)
        self._turn = _TURNS[quarter_turns]
        self._form: tuple[int, int, str, int, int] | None = None
        self._graph = Graph()

    def scale(self, frame: VideoFrame) -> VideoFrame:
        """Scale and rotate a frame.

        Args:
            frame: The frame, as stored.

        Returns:
            A new frame with the same times.
        """
        form = frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
        if form != self._form:
            self._form = form
            self._graph = self._graph_for(frame)
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _graph_for(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add(
            "buffer",
            width=str(frame.width),
            height=str(frame.height),
            pix_fmt=frame.format.name,
            time_base=str(frame.time_base),
            colorspace=str(frame.colorspace),
            range=str(frame.color_range),
        )
        width, height = self._size
        graph.link_nodes(
            source,
            graph.add("scale", f"{width}:{height}:flags=bicubic:out_range=tv"),
            graph.add("format", "yuv420p"),
            *(graph.add(name, arguments) for name, arguments in self._turn),
            graph.add("buffersink"),
        ).configure()
        return graph
