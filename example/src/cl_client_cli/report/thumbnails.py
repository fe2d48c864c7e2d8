"""Small pictures that a page carries in itself."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL.Image import DecompressionBombError

from cl_client_cli.pictures.upright import open_picture, upright_picture

if TYPE_CHECKING:
    from pathlib import Path

_SIDE: Final = 320
_QUALITY: Final = 60


def thumbnail_uri(file: Path) -> str | None:
    """A small copy of a picture as a data URI; None for what cannot be read here."""
    try:
        with open_picture(file) as picture:
            picture.draft("RGB", (_SIDE, _SIDE))
            small = upright_picture(picture)
    except (OSError, ValueError, DecompressionBombError):
        return None
    small.thumbnail((_SIDE, _SIDE))
    content = BytesIO()
    small.save(content, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
