"""Images whose colour space is given by numbers instead of an ICC profile: converted to sRGB.

The numbers are those of ISO/IEC 23091-2, in the ``nclx`` box of AVIF and HEIC and in PNG's ``cICP`` chunk.
"""

from __future__ import annotations

import io
import math
import struct
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from PIL import Image

from cl_client.local.tasks.formats.heif import read_meta
from cl_client.local.tasks.videos.colours import BT2020, HDR, Colour

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from PIL import ImageFilter
    from PIL.ImageFile import ImageFile

    _Load = Callable[[], Image.core.PixelAccess | None]

_UNSPECIFIED: Final = 2
_PNG_START: Final = 8
_MAX_PNG_CHUNKS: Final = 100
"""Chunks before the pixels; the one for colours stands near the start."""


@contextmanager
def shown_in_srgb(image: ImageFile, file: Path) -> Generator[ImageFile]:
    """Convert an image to sRGB when it is decoded, if its colour space is given by numbers alone.

    HDR is tone-mapped like that of videos.

    Args:
        image: The image; not decoded yet.
        file: Its file.

    Yields:
        The same image.
    """
    colour = _colour(image, file)
    if colour is not None and colour.transfer in HDR and colour.primaries == _UNSPECIFIED:
        colour = colour._replace(primaries=BT2020)
    if colour is None or not colour.needs_cube:
        yield image
        return
    decode = image.load
    image.load = partial(_load, image, decode, colour, converted=[])
    try:
        yield image
    finally:
        image.load = decode


def _load(
    image: ImageFile, decode: _Load, colour: Colour, *, converted: list[object]
) -> Image.core.PixelAccess | None:
    """Decode the image and convert it; of an animation, each frame once."""
    is_new = bool(image.tile)
    pixels = decode()
    if image.mode not in {"RGB", "RGBA"} or (not is_new and image.im in converted):
        return pixels
    image.im = _table(colour).filter(image.im)
    converted[:] = [image.im]
    return Image.Image.load(image)


@lru_cache(maxsize=4)
def _table(colour: Colour) -> ImageFilter.Color3DLUT:
    from PIL import ImageFilter

    from cl_client.local.tasks.videos.tone_mapping import colour_cube  # with NumPy, which few images need

    cube = colour_cube(colour)
    return ImageFilter.Color3DLUT(round(math.cbrt(cube.size / 3)), (cube / 0xFFFF).ravel())


def _colour(image: ImageFile, file: Path) -> Colour | None:
    if image.format == "PNG":
        return _png_colour(file)
    if image.info.get("icc_profile"):
        return None
    return _item_colour(file) if image.format in {"AVIF", "HEIF"} else None


def _item_colour(file: Path) -> Colour | None:
    """Read the ``nclx`` of the picture that is shown."""
    meta = read_meta(file)
    if meta is None:
        return None
    try:
        found = [meta.data(box) for box in meta.primary_properties() if box.kind == b"colr"]
        numbers = next((data for data in found if data.startswith(b"nclx")), None)
        return None if numbers is None else Colour(*struct.unpack_from(">HHH", numbers, 4))
    except struct.error:
        return None


def _png_colour(file: Path) -> Colour | None:
    """Read the chunk ``cICP``, which comes before the pixels and prevails over an ICC profile."""
    with file.open("rb") as stream:
        stream.seek(_PNG_START)
        for _ in range(_MAX_PNG_CHUNKS):
            header = stream.read(8)
            if len(header) < 8 or header[4:] == b"IDAT":  # noqa: PLR2004 - length and type
                return None
            if header[4:] == b"cICP":
                numbers = stream.read(3)
                return Colour(*numbers) if len(numbers) == 3 else None  # noqa: PLR2004
            stream.seek(int.from_bytes(header[:4]) + 4, io.SEEK_CUR)  # behind the checksum
    return None
