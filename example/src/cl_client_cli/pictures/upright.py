"""Pictures as people see them, from any file that can be read here, and the formats to write them in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import pillow_heif
from PIL import Image, ImageOps

from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_MANY_PIXELS: Final = 250_000_000
"""Pillow refuses twice as many. The largest sensors of phones have 200 million; 3 bytes each in memory."""
_DEEP_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


def open_picture(source: Path) -> Image.Image:
    """Open a picture, HEIC too; its content is read when it is needed.

    Raises:
        OSError: It is not a picture that can be read here.
    """
    _prepare_pillow()
    try:
        return Image.open(source)
    except Image.DecompressionBombError:
        limit = f"{2 * _MANY_PIXELS // 10**6} million pixels"
        raise OSError(f"{source} has more than {limit}, which are not read here") from None


def picture_size(file: Path) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        OSError: It is not a picture that can be read here.
    """
    with open_picture(file) as picture:
        return picture.size


def upright_picture(picture: Image.Image) -> Image.Image:
    """A copy as people see it: turned as its EXIF says, on white where it is transparent, 8 bits a colour.

    Raises:
        OSError: Its content cannot be read.
    """
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in _DEEP_MODES:
        # Pillow's own conversion cuts 16 bits off at 255: nearly everything would be white.
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
    """The format that the suffix of a picture to be written stands for.

    Raises:
        UsageError: It stands for none that can be written.
    """
    known = Image.registered_extensions()
    name = known.get(target.suffix.lower())
    if name is None or name not in Image.SAVE:
        raise UsageError(f"{str(target)!r}: no picture can be written with that ending; take .jpg or .png")
    return name
