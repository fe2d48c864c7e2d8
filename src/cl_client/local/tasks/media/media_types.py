"""What kind of media a file holds, by its content; its name is not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from cl_client.local.tasks.media.images import is_picture
from cl_client.local.tasks.media.videos import stream_kind

if TYPE_CHECKING:
    from pathlib import Path

MediaType: TypeAlias = Literal["image", "video", "audio", "unknown"]


def detect_media_type(file: Path) -> MediaType:
    """Tell a picture, a video and sound apart; anything else, an empty file too, is ``"unknown"``.

    An animated picture is an image. Only the headers are read, so a damaged file keeps its type.
    """
    if is_picture(file):
        return "image"
    return stream_kind(file) or "unknown"
