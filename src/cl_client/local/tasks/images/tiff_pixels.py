"""TIFFs with 16 bits per channel that Pillow reads wrong: as a negative, or as noise."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from PIL import ExifTags, Image

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from PIL import TiffImagePlugin
    from PIL.ImageFile import ImageFile

    _Load: TypeAlias = Callable[[], Image.core.PixelAccess | None]

_WHITE_IS_ZERO: Final = 0
_SEPARATE_PLANES: Final = 2
_DEEP_CHANNELS: Final = frozenset({(16,) * count for count in (2, 3, 4, 5)})
_WHITE: Final = 0xFFFF


def needs_libtiff(image: ImageFile) -> bool:
    """Tell whether Pillow's own decoder would read a TIFF wrong: 16 bits per channel in separate planes.

    Args:
        image: The image; not decoded yet.

    Returns:
        False for images of other formats, and for compressed TIFFs, which libtiff decodes anyway.
    """
    tiff = _as_tiff(image)
    if tiff is None or tiff.info.get("compression") != "raw":
        return False
    bits: object = tiff.tag_v2.get(ExifTags.Base.BitsPerSample)
    planes: object = tiff.tag_v2.get(ExifTags.Base.PlanarConfiguration)
    return planes == _SEPARATE_PLANES and bits in _DEEP_CHANNELS


def _as_tiff(image: ImageFile) -> TiffImagePlugin.TiffImageFile | None:
    if image.format != "TIFF":
        return None
    from PIL import TiffImagePlugin  # only now: it takes as long to import as a small JPEG to decode

    return image if isinstance(image, TiffImagePlugin.TiffImageFile) else None


@contextmanager
def libtiff_for_all() -> Generator[None]:
    """Let libtiff decode TIFFs that are not compressed, too.

    Yields:
        Nothing.
    """
    from PIL import TiffImagePlugin

    previous = TiffImagePlugin.READ_LIBTIFF
    TiffImagePlugin.READ_LIBTIFF = True
    try:
        yield
    finally:
        TiffImagePlugin.READ_LIBTIFF = previous


@contextmanager
def with_white_as_white(image: ImageFile) -> Generator[ImageFile]:
    """Invert 16-bit grey whose zero is white when it is decoded, as Pillow does for 8 bits alone.

    Args:
        image: The image; not decoded yet.

    Yields:
        The same image.
    """
    tiff = _as_tiff(image)
    if tiff is None:
        yield image
        return
    decode = tiff.load
    tiff.load = partial(_load, tiff, decode)
    try:
        yield tiff
    finally:
        tiff.load = decode


def _load(image: TiffImagePlugin.TiffImageFile, decode: _Load) -> Image.core.PixelAccess | None:
    is_new = bool(image.tile)
    pixels = decode()
    meaning: object = image.tag_v2.get(ExifTags.Base.PhotometricInterpretation)
    if not is_new or meaning != _WHITE_IS_ZERO or image.mode != "I;16":
        return pixels
    image.im = image.point(lambda value: value * -1 + _WHITE).im
    return Image.Image.load(image)
