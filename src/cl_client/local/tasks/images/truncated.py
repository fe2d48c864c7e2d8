"""Images that lack their end: shown as far as they go, with a warning, as browsers do.

Pillow can do this for JPEG, PNG, GIF, BMP, PPM and uncompressed TIFF. Of other formats nothing is left.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final, TypeAlias

from PIL import ImageFile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from PIL import Image

    _Load: TypeAlias = Callable[[], Image.core.PixelAccess | None]

_STRIP: Final = 16
"""Rows; those of a JPEG are stored in groups of 8 or 16."""
_JPEG_FILLING: Final = frozenset({(127, 127), (128, 128)})
"""Lowest and highest value of each channel where libjpeg had no data."""
_OTHER_FILLING: Final = frozenset({(0, 0)})


@contextmanager
def truncated_allowed() -> Generator[None]:
    """Let Pillow decode truncated files, with a filling; that setting hides other damage too."""
    previous = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = previous


@contextmanager
def shown_as_far_as_it_goes(
    image: ImageFile.ImageFile, warn: Callable[[str], None]
) -> Generator[ImageFile.ImageFile]:
    """Let an image be decoded that is truncated.

    Args:
        image: The image; not decoded yet.
        warn: Called with the size of the missing part when the image is decoded, which is on its first use.

    Yields:
        The same image.
    """
    image.load = partial(_load, image, image.load, warn, failures=[])  # called by every use of the pixels
    try:
        yield image
    finally:
        del image.load  # with its reference to the image, which would keep the pixels in memory


def _load(
    image: ImageFile.ImageFile,
    load: _Load,
    warn: Callable[[str], None],
    *,
    failures: list[OSError],
) -> Image.core.PixelAccess | None:
    """Decode the image; again with the setting for truncated files if it is one."""
    # That setting hides other damage too. A failure stays one: a second call of Pillow's method can succeed,
    # with black where the damage is.
    if failures:
        raise failures[0]
    # A second call of Pillow's method goes on where the first one failed: of a GIF it has lost the palette.
    before = vars(image) | {"palette": image.palette and image.palette.copy()}
    try:
        return load()
    except OSError as exc:
        if not str(exc).startswith("image file is truncated"):
            failures.append(exc)
            raise
        vars(image).update(before)
        with truncated_allowed():
            pixels = load()
        missing = _missing_rows(image)
        if _is_nothing_left(image, missing):
            failures.append(exc)
            raise
    warn(_description(missing, image.height))
    return pixels


def _missing_rows(image: Image.Image) -> int:
    """Count the rows that are filled, from the end where they are missing."""
    missing = 0
    for top, bottom in reversed(_strips(image)):
        if not _is_filled(image, (0, top, image.width, bottom)):
            # Row by row: 16 rows of a JPEG that is decoded at an eighth of its size are 128 of the file.
            rows = range(top, bottom) if _is_upside_down(image) else range(bottom - 1, top - 1, -1)
            return missing + sum(
                1 for _ in takewhile(lambda row: _is_filled(image, (0, row, image.width, row + 1)), rows)
            )
        missing += bottom - top
    return missing


def _is_nothing_left(image: Image.Image, missing: int) -> bool:
    """Tell whether no more is left than the block of pixels in which the data of a JPEG end."""
    if missing < image.height - _STRIP:
        return False
    top, bottom = _strips(image)[0]
    return missing > 0 and _is_filled(image, (image.width // 4, top, image.width, bottom))


def _strips(image: Image.Image) -> list[tuple[int, int]]:
    """Return the first row of each strip and the one after its last, in the order of the file."""
    strips = [(top, min(top + _STRIP, image.height)) for top in range(0, image.height, _STRIP)]
    return strips[::-1] if _is_upside_down(image) else strips


def _is_upside_down(image: Image.Image) -> bool:
    """Tell whether the file begins with the last row."""
    return image.format in {"BMP", "DIB"}


def _is_filled(image: Image.Image, box: tuple[int, int, int, int]) -> bool:
    filling = _JPEG_FILLING if image.format in {"JPEG", "MPO"} else _OTHER_FILLING
    return all(channel.getextrema() in filling for channel in image.crop(box).split())


def _description(missing: int, height: int) -> str:
    percent = round(100 * missing / height)
    part = f"about {percent} % of its rows are missing" if percent else "its last bytes are missing"
    return f"the file is truncated: {part}"
