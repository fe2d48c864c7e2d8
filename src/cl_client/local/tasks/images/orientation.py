"""The EXIF orientation of an image: read, and applied to sizes and pixels."""

from __future__ import annotations

from typing import Final

from PIL import ExifTags, Image, ImageOps

from cl_client.local.tasks.images.damage import DAMAGE_ERRORS
from cl_client.plugins.exif_fields.display import SWAPPED_ORIENTATIONS

_UPRIGHT_FORMATS: Final = frozenset({"TIFF", "RAW"})
"""Formats whose pixels are upright when they are loaded, whatever their EXIF says."""


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
        The upright image; the same object if it is already upright.
    """
    return image if orientation(image) == 1 else ImageOps.exif_transpose(image)
