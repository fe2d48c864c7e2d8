"""Pictures as people see them, and small ones that a page carries in itself."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from pathlib import Path

_SIDE: Final = 320
_QUALITY: Final = 60
_DEEP_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


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


def thumbnail_uri(file: Path) -> str | None:
    """A small copy of a picture as a data URI; None for what cannot be read here."""
    try:
        with Image.open(file) as picture:
            picture.draft("RGB", (_SIDE, _SIDE))
            small = upright_picture(picture)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((_SIDE, _SIDE))
    content = BytesIO()
    small.save(content, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
