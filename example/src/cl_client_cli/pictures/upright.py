"""Opens images, turns them upright, and finds the format to write them in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import pillow_heif
from PIL import Image, ImageOps

from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_MANY_PIXELS: Final = 250_000_000
"""Pillow rejects twice as many. The largest phone sensors have 200 million, at 3 bytes each in memory."""
_DEEP_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


def open_picture(source: Path) -> Image.Image:
    """Open an image, also HEIC; its content is read when it is needed.

    Args:
        source: The image.

    Returns:
        The image.

    Raises:
        OSError: The file is not an image that can be read here.
    """
    _prepare_pillow()
    try:
        return Image.open(source)
    except Image.DecompressionBombError:
        limit = f"{2 * _MANY_PIXELS // 10**6} million pixels"
        raise OSError(f"{source}: too large: it has more than {limit}") from None


def picture_size(file: Path) -> tuple[int, int]:
    """Read the size of an image.

    Args:
        file: The image.

    Returns:
        Width and height in pixels.

    Raises:
        OSError: The file is not an image that can be read here.
    """
    with open_picture(file) as picture:
        return picture.size


def upright_picture(picture: Image.Image) -> Image.Image:
    """Copy an image as people see it: rotated by its EXIF data, on white if transparent, 8 bits per colour.

    Args:
        picture: The image.

    Returns:
        The copy, in mode RGB.

    Raises:
        OSError: The content cannot be read.
    """
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in _DEEP_MODES:
        # Pillow's own conversion clips 16-bit values at 255: nearly everything would be white.
        return upright.point(lambda level: level * (1 / 256)).convert("L").convert("RGB")
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    seen = upright.convert("RGBA")
    ground = Image.new("RGBA", seen.size, "white")
    ground.alpha_composite(seen)
    return ground.convert("RGB")


@cache
def _prepare_pillow() -> None:
    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = _MANY_PIXELS


def writable_format(target: Path) -> str:
    """Find the image format for a file's suffix.

    Args:
        target: The file to write.

    Returns:
        Pillow's name of the format.

    Raises:
        UsageError: The suffix is not that of a writable format.
    """
    known = Image.registered_extensions()
    name = known.get(target.suffix.lower())
    if name is None or name not in Image.SAVE:
        raise UsageError(f"{str(target)!r}: unsupported image format; use for instance .jpg or .png")
    return name
