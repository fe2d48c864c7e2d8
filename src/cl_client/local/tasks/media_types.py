"""The media type of a file, detected by its content; its name is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from cl_client.local.tasks.images.opening import is_picture

if TYPE_CHECKING:
    from pathlib import Path

MediaType: TypeAlias = Literal["image", "video", "audio", "unknown"]


def detect_media_type(file: Path) -> MediaType:
    """Detect the media type of a file.

    An animated image is an image. Only the headers are read, so a damaged file keeps its type.

    Args:
        file: The file.

    Returns:
        The type; ``"unknown"`` for other content, and for an empty file.
    """
    if is_picture(file):
        return "image"
    from cl_client.local.tasks.videos.opening import stream_kind  # only here: PyAV takes long to import

    return stream_kind(file) or "unknown"
