"""Thumbnails that are embedded in the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from cl_client_cli.pictures.upright import open_picture, upright_picture
from cl_client_cli.tasks.media_kinds import SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client_cli.report.entries import PictureFiles

_QUALITY: Final = 60
_SIDES: Final = ((500, 320), (2_000, 240))
"""Up to so many images, each may have so many pixels."""
_SMALLEST_SIDE: Final = 160
"""10,000 of these take about 40 MB, which a browser still opens in seconds."""


def thumbnail_side(count: int) -> int:
    """Choose the size of the images on a page.

    Args:
        count: The number of images.

    Returns:
        The longer side in pixels.
    """
    return next((side for most, side in _SIDES if count <= most), _SMALLEST_SIDE)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy of an image.

    Attributes:
        uri: Its content, as a data URI.
        width: Pixels.
        height: Pixels.
    """

    uri: str
    width: int
    height: int


def thumbnail_of(files: PictureFiles, side: int) -> Thumbnail | None:
    """Make a thumbnail of a file, or of its saved thumbnail for videos, RAW and what cannot be read here.

    Args:
        files: The files to make it from.
        side: The longer side in pixels.

    Returns:
        The thumbnail; None if neither can be read.
    """
    # Pillow takes most RAW files for TIFFs, and opens the small picture at their start.
    is_raw = files.source.suffix.lower() in SUFFIXES["raw"]
    shown = None if is_raw else make_thumbnail(files.source, side)
    return shown or (files.thumbnail and make_thumbnail(files.thumbnail, side))


def make_thumbnail(file: Path, side: int) -> Thumbnail | None:
    """Make a thumbnail of an image.

    Args:
        file: The image.
        side: The longer side in pixels.

    Returns:
        The thumbnail; None if the image cannot be read here.
    """
    try:
        with open_picture(file) as picture:
            picture.draft("RGB", (side, side))
            small = upright_picture(picture)
            small.thumbnail((side, side))
            content = BytesIO()
            small.save(content, "WEBP", quality=_QUALITY)
    except Exception:  # noqa: BLE001 - Pillow's decoders raise nearly anything for a damaged file
        return None
    uri = f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
    return Thumbnail(uri, *small.size)
