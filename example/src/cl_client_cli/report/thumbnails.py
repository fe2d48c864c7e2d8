"""Thumbnails that are embedded in the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import Image

from cl_client_cli.pictures.upright import open_picture, picture_size, upright_picture
from cl_client_cli.tasks.media_kinds import SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client_cli.report.entries import PictureFiles

_QUALITY: Final = 65
"""Looks like a WebP of quality 60, in a fifteenth of its time, for 40 % more bytes."""
_SIDES: Final = ((500, 320), (2_000, 240))
"""Up to so many images, each may have so many pixels."""
_SMALLEST_SIDE: Final = 160
"""10,000 of these take about 55 MB, which a browser still opens in seconds."""


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
    """Make a thumbnail of a file, or of its saved thumbnail if that shows as much or alone can be read here.

    Args:
        files: The files to make it from.
        side: The longer side in pixels.

    Returns:
        The thumbnail; None if neither can be read.
    """
    # Pillow takes most RAW files for TIFFs, and opens the small picture at their start.
    is_raw = files.source.suffix.lower() in SUFFIXES["raw"]
    saved = files.thumbnail
    if not is_raw and not (saved and _shows_as_much(saved, files.source, side)):
        shown = make_thumbnail(files.source, side)
        return shown or (saved and make_thumbnail(saved, side))
    shown = saved and make_thumbnail(saved, side)
    return shown or (None if is_raw else make_thumbnail(files.source, side))


def _shows_as_much(saved: Path, source: Path, side: int) -> bool:
    """Tell whether a saved thumbnail has enough pixels and the shape of its source; reads only headers."""
    try:
        small, large = picture_size(saved), picture_size(source)
    except Exception:  # noqa: BLE001 - Pillow's decoders raise nearly anything for a damaged file
        return False
    # The source may be stored on its side. Whole pixels make up to one pixel of difference.
    (short, long), (short_large, long_large) = sorted(small), sorted(large)
    same_shape = abs(short - long * short_large / long_large) <= 1
    return same_shape and long >= min(side, long_large)


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
            # As sharp as with the default filter, in two thirds of its time.
            small.thumbnail((side, side), Image.Resampling.HAMMING)
            content = BytesIO()
            small.save(content, "JPEG", quality=_QUALITY, optimize=True)
    except Exception:  # noqa: BLE001 - Pillow's decoders raise nearly anything for a damaged file
        return None
    uri = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
    return Thumbnail(uri, *small.size)
