"""The EXIF orientation of an image: read, and applied to sizes and pixels."""

from __future__ import annotations

from typing import Final

from PIL import ExifTags, Image

from cl_client.local.tasks.images.damage import DAMAGE_ERRORS
from cl_client.plugins.exif_fields.display import SWAPPED_ORIENTATIONS

_UPRIGHT_FORMATS: Final = frozenset({"TIFF", "RAW"})
"""Formats whose pixels are upright when they are loaded, whatever their EXIF says."""

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How stored pixels become upright ones, by the EXIF orientation."""
_FROM_THE_END: Final = frozenset({3, 4, 7, 8})
"""The orientations whose first upright row is the last stored row or column."""


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image.

    Args:
        image: The image.

    Returns:
        1-8; 1, upright, if the image has none or its EXIF is damaged.
    """
    if image.format in _UPRIGHT_FORMATS:
        return 1
    try:
        value: object = image.getexif().get(ExifTags.Base.Orientation)
    except DAMAGE_ERRORS:
        return 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the size of an image after turning it upright.

    Args:
        image: The image, as stored.

    Returns:
        Width and height in pixels.
    """
    return stored_size(image, image.size)


def stored_size(image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    """Convert a size between the stored and the upright image; the same in both directions.

    Args:
        image: The image, as stored.
        size: Width and height in pixels.

    Returns:
        Width and height, swapped if the EXIF orientation swaps them.
    """
    width, height = size
    return (height, width) if orientation(image) in SWAPPED_ORIENTATIONS else (width, height)


def upright(image: Image.Image) -> Image.Image:
    """Rotate and mirror an image according to its EXIF orientation.

    Args:
        image: The image, as stored.

    Returns:
        The upright image; the same object if it is already upright. Its EXIF is that of the stored image.
    """
    # Not by ImageOps.exif_transpose(), which also writes all of the EXIF again, for nobody.
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def upright_band(image: Image.Image, top: int, bottom: int) -> Image.Image:
    """Cut rows out of an image as it would be when turned upright, without turning all of it.

    Args:
        image: The image, as stored.
        top: The first row of the upright image.
        bottom: The row behind the last one.

    Returns:
        The upright rows.
    """
    number = orientation(image)
    across = number in SWAPPED_ORIENTATIONS  # then the upright rows are stored as columns
    if number in _FROM_THE_END:
        end = image.width if across else image.height
        top, bottom = end - bottom, end - top
    band = image.crop((top, 0, bottom, image.height) if across else (0, top, image.width, bottom))
    turn = _TURNS.get(number)
    return band if turn is None else band.transpose(turn)
