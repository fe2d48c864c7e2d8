"""Pictures as people see them, from any file that can be read here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import pillow_heif
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from pathlib import Path

_DEEP_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


def open_picture(source: Path) -> Image.Image:
    """Open a picture, HEIC too; its content is read when it is needed.

    Raises:
        OSError: It is not a picture that can be read here.
    """
    _register_heif()
    return Image.open(source)


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
def _register_heif() -> None:
    pillow_heif.register_heif_opener()
