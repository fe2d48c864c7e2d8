"""Resizing of an image with little memory: what is done to each pixel before is done to a band at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image

from cl_client.local.tasks.images.orientation import upright, upright_band, upright_size
from cl_client.local.tasks.images.pixels import BAND_PIXELS, displayable, flattened

if TYPE_CHECKING:
    from collections.abc import Iterator

_GAP: Final = 2.0
"""The image is first reduced by averaging, to no less than so many times the final size."""
_BY_PIXEL: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Modes whose pixels are converted one by one. The range of I and F is that of the whole image, and an ICC
transform of CMYK is too slow to prepare to do it again for each band."""


def shrunk(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Turn an image upright, convert it to L or RGB without transparency, and resize it.

    Args:
        image: The image, as stored.
        size: Width and height of the result, in pixels.

    Returns:
        Exactly what ``resize`` makes of the whole image with a ``reducing_gap``, without copies of it.
    """
    image.load()
    width, height = upright_size(image)
    factors = int(width / size[0] / _GAP) or 1, int(height / size[1] / _GAP) or 1
    if image.mode not in _BY_PIXEL or factors == (1, 1):
        whole = flattened(displayable(upright(image)))
        return whole.resize(size, Image.Resampling.LANCZOS, reducing_gap=_GAP)
    bands = [
        flattened(displayable(band)).reduce(factors) for band in _bands(image, width, height, factors[1])
    ]
    reduced = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    reduced.info = bands[0].info
    top = 0
    for band in bands:
        reduced.paste(band, (0, top))
        top += band.height
    box = 0, 0, width / factors[0], height / factors[1]
    return reduced.resize(size, Image.Resampling.LANCZOS, box)


def _bands(image: Image.Image, width: int, height: int, multiple: int) -> Iterator[Image.Image]:
    """Yield an upright image in bands, each but the last with a height that is a multiple."""
    rows = max(1, BAND_PIXELS // (width * multiple)) * multiple
    for top in range(0, height, rows):
        yield upright_band(image, top, min(top + rows, height))
