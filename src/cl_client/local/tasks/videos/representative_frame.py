"""A frame that represents a video, as players show it."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Final

import av
from av.error import FFmpegError, InvalidDataError
from PIL import Image

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import require_content
from cl_client.local.tasks.videos.colours import BT709, colour_warning
from cl_client.local.tasks.videos.deinterlacing import deinterlaced_alone
from cl_client.local.tasks.videos.frame_converter import FrameConverter, turn_of
from cl_client.local.tasks.videos.opening import decodable_video, open_container, video_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    Size: TypeAlias = tuple[int, int]

_POSITIONS: Final = (0.1, 0.3, 0.5)
"""Where to look, as fractions of the duration: after a black or fading start."""
_MAX_FRAMES: Final = 250
"""How many frames to decode from a keyframe to that position; x264's default keyframe interval."""
_MAX_PACKETS: Final = 2 * _MAX_FRAMES
"""How many frames to read until one can be decoded, where a recording starts between keyframes."""
_BLACK_BELOW: Final = 32
_LIGHT_PART: Final = 0.01
"""A picture is black if fewer of its pixels have a level of grey, 0-255, from there on."""


def representative_frame(
    file: Path, size_for: Callable[[Size], Size], warn: Callable[[str], None]
) -> Image.Image:
    """Decode a frame from the start of a video, but not a black one if there are others.

    Args:
        file: The video.
        size_for: Gives the size for the picture, from that of the video as displayed.
        warn: Called if the picture is not as it should be.

    Returns:
        An RGB image of that size, upright and with square pixels, in the standard range.

    Raises:
        TaskFailedError: The file is not a video, or no frame of it can be decoded.
    """
    require_content(file)
    first: Image.Image | None = None
    with video_errors(file):
        for position in _POSITIONS:
            found = _frame_at(file, position)
            if found is None:
                break
            frame, pixel_shape = found
            warning = colour_warning(frame)
            if warning is not None:
                warn(warning)
            picture = _picture(frame, pixel_shape, size_for)
            if not _is_black(picture):
                return picture
            first = first or picture
    if first is None:
        raise TaskFailedError(f"{file.name}: no frame of the video can be decoded")
    return first


def _frame_at(file: Path, position: float) -> tuple[VideoFrame, Fraction] | None:
    """Decode from the keyframe before the position. If that is not found, from the start of the file.

    Returns:
        A frame, and the aspect ratio of its pixels.
    """
    for seeks in (True, False):
        with open_container(file) as container:
            stream = decodable_video(container, file)
            clock = stream.time_base or Fraction(1, av.time_base)
            seconds = float((stream.start_time or 0) * clock) + position * _duration(container, stream)
            if seeks:
                with suppress(FFmpegError):  # not seekable: decode from the start
                    container.seek(int(seconds / clock), stream=stream)
            frame = _decode_up_to(container, stream, seconds)
            if frame is not None:
                return frame, stream.sample_aspect_ratio or Fraction(1)
    return None


def _duration(container: InputContainer, stream: VideoStream) -> float:
    """Return seconds. The file's duration includes subtitles, which may end much later."""
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _decode_up_to(container: InputContainer, stream: VideoStream, seconds: float) -> VideoFrame | None:
    """Return the last good frame of a damaged video, even if it is before the requested position."""
    best: VideoFrame | None = None
    for frame in islice(_frames(container, stream), _MAX_FRAMES):
        if best is None or not frame.is_corrupt:
            best = frame
            if frame.pts is None or frame.time >= seconds:
                break
    return best


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield frames. Damaged ones are skipped, and those before the first keyframe."""
    found = False
    with suppress(FFmpegError):
        for number, packet in enumerate(container.demux(stream)):
            if not found and number > _MAX_PACKETS:
                return
            with suppress(InvalidDataError):
                for frame in packet.decode():
                    found = True
                    yield frame


def _picture(frame: VideoFrame, pixel_shape: Fraction, size_for: Callable[[Size], Size]) -> Image.Image:
    turn = turn_of(frame)
    width, height = turn.applied_to(max(1, round(frame.width * pixel_shape)), frame.height)
    size = size_for((width, height))
    converter = FrameConverter(min(width, size[0]), min(height, size[1]), turn, "rgb24", BT709)
    rgb = converter.convert(deinterlaced_alone(frame))
    plane = rgb.planes[0]
    shown = Image.frombuffer("RGB", (rgb.width, rgb.height), bytes(plane), "raw", "RGB", plane.line_size, 1)
    return shown if shown.size == size else shown.resize(size)


def _is_black(picture: Image.Image) -> bool:
    levels = picture.convert("L").histogram()
    return sum(levels[_BLACK_BELOW:]) < _LIGHT_PART * sum(levels)
