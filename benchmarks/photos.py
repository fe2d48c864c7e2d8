"""Drawn photos for benchmarks: JPEGs with a camera's EXIF, whose bytes all differ."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from cl_client.local.samples import camera_exif

if TYPE_CHECKING:
    from pathlib import Path

_DIFFERENT: Final = 10
"""How many pictures are drawn; the others have the same pixels and another comment."""
_QUALITY: Final = 92


class PhotoKind(NamedTuple):
    """What the photos look like.

    Attributes:
        width: The width in pixels.
        height: The height in pixels.
        grid: How many pixels apart the random colours are that the others blend; it decides about the size
            of the file.
    """

    width: int
    height: int
    grid: int


SMALL: Final = PhotoKind(1600, 1200, 16)
"""About 400 kB."""
TINY: Final = PhotoKind(640, 480, 16)
"""About 70 kB."""
LARGE: Final = (PhotoKind(6000, 4000, 16), PhotoKind(4000, 3000, 11))
"""24 and 12 megapixels, about 5 MB each."""


def draw_photos(folder: Path, count: int, *kinds: PhotoKind) -> list[Path]:
    """Draw photos of each kind in turn.

    Args:
        folder: Where to draw them; it is created.
        count: How many.
        kinds: Their kinds.

    Returns:
        The files.
    """
    folder.mkdir(parents=True)
    drawn = [_drawn(kinds[number % len(kinds)], number) for number in range(min(_DIFFERENT, count))]
    files = [folder / f"IMG_{number:05}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        content = drawn[number % len(drawn)]
        comment = b"\xff\xfe\x00\x0a" + f"{number:08}".encode()
        file.write_bytes(content[:2] + comment + content[2:])
    return files


def _drawn(kind: PhotoKind, seed: int) -> bytes:
    size = kind.height // kind.grid, kind.width // kind.grid, 3
    colours = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    picture = Image.fromarray(colours).resize((kind.width, kind.height), Image.Resampling.BICUBIC)
    kept = BytesIO()
    picture.save(kept, "JPEG", quality=_QUALITY, exif=camera_exif().tobytes())
    return kept.getvalue()
