"""How a video is shown: the shape of its pixels, and a turn that ExifTool does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from av.error import FFmpegError

from cl_client.local.tasks.videos.opening import open_container, video_stream
from cl_client.plugins.exif_fields.display import SWAPPED_ORIENTATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.models import JSONObject

_TURNS: Final = {0: 1, 90: 8, 180: 3, 270: 6}
"""The orientation of a frame that is turned anticlockwise by so many degrees for display."""


def video_display(file: Path, orientation: int | None) -> JSONObject:
    """Read the size of the picture stream.

    Args:
        file: The video.
        orientation: What ExifTool says, which is right for MP4 and MOV alone.

    Returns:
        The fields of `ExifOutput` about size and orientation that are known.
    """
    try:
        with open_container(file) as container:
            stream = video_stream(container)
            if stream is None or not stream.width or not stream.height:
                return {}
            if orientation is None and "matroska" in container.format.name:
                frame = next(container.decode(stream), None)
                orientation = _TURNS.get(frame.rotation % 360) if frame is not None else None
            width, height = stream.width, stream.height
            shape = stream.sample_aspect_ratio
    except (FFmpegError, ValueError):
        return {}
    shown = (max(1, round(width * shape)) if shape else width, height)
    if orientation in SWAPPED_ORIENTATIONS:
        shown = (shown[1], shown[0])
    return {
        "image_width": width,
        "image_height": height,
        "orientation": orientation,
        "display_width": shown[0],
        "display_height": shown[1],
    }
