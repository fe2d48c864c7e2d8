"""Deinterlacing: whole pictures out of frames whose odd and even lines are of different times."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from av.error import BlockingIOError as NeedsMoreError
from av.error import EOFError as NoMoreError
from av.filter import Graph
from av.video.frame import VideoFrame

from cl_client.local.tasks.videos.colours import specify_colour
from cl_client.local.tasks.videos.frame_converter import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.audio.frame import AudioFrame


def deinterlaced(frames: Iterable[VideoFrame | AudioFrame]) -> Iterator[VideoFrame | AudioFrame]:
    """Deinterlace the interlaced frames of a video, at its own frame rate.

    Args:
        frames: Frames in display order. Size and format may change meanwhile.

    Yields:
        As many frames with the same times. Those of audio, and progressive ones, are unchanged.
    """
    deinterlacer: _Deinterlacer | None = None
    for frame in frames:
        if not isinstance(frame, VideoFrame):
            yield frame
            continue
        if deinterlacer is not None and not deinterlacer.takes(frame):
            yield from deinterlacer.rest()
            deinterlacer = None
        if deinterlacer is None and frame.interlaced_frame:
            deinterlacer = _Deinterlacer(frame)
        if deinterlacer is None:
            yield frame
        else:
            yield from deinterlacer.convert(frame)
    if deinterlacer is not None:
        yield from deinterlacer.rest()


def deinterlaced_alone(frame: VideoFrame) -> VideoFrame:
    """Deinterlace a frame without its neighbours, from its own lines.

    Args:
        frame: The frame.

    Returns:
        A new frame, or the same one if it is progressive.
    """
    if not frame.interlaced_frame:
        return frame
    specify_colour(frame)
    graph = Graph()
    graph.link_nodes(
        source_of(graph, frame), graph.add("estdif", "mode=frame"), graph.add("buffersink")
    ).configure()
    graph.vpush(frame)
    graph.vpush(None)
    return graph.vpull()


def _form(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


class _Deinterlacer:
    """Deinterlaces frames of one size and format with the help of their neighbours."""

    def __init__(self, frame: VideoFrame) -> None:
        self._form = _form(frame)
        self._times = deque[tuple[int | None, int]]()
        self._time_base = frame.time_base
        self._graph = Graph()
        specify_colour(frame)
        self._graph.link_nodes(
            source_of(self._graph, frame),
            self._graph.add("bwdif", "mode=send_frame:deint=interlaced"),
            self._graph.add("buffersink"),
        ).configure()

    def takes(self, frame: VideoFrame) -> bool:
        return _form(frame) == self._form

    def convert(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Take the next frame, and yield those that are ready."""
        specify_colour(frame)
        self._times.append((frame.pts, frame.duration))
        self._graph.vpush(frame)
        yield from self._ready()

    def rest(self) -> Iterator[VideoFrame]:
        """Yield the last frames."""
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                frame = self._graph.vpull()
            except (NeedsMoreError, NoMoreError):
                return
            # The filter's clock is twice as fast.
            frame.pts, frame.duration = self._times.popleft()
            frame.time_base = self._time_base
            yield frame
