"""How a HEIC or AVIF picture is turned and cropped, from the properties of its primary item.

ExifTool tells no crop, in older versions no mirroring, and never the order in which they are applied. Pillow
tells only the result.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.formats.heif import read_meta
from cl_client.plugins.exif_fields.display import SWAPPED_ORIENTATIONS, matrix_orientation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class HeifProperties:
    """The size and the turn of the primary picture.

    Attributes:
        width: Width in pixels as stored.
        height: Height in pixels as stored.
        orientation: 1-8: all turns and mirrorings together, as an EXIF orientation.
        display_width: Width in pixels as shown.
        display_height: Height in pixels as shown.
    """

    width: int
    height: int
    orientation: int
    display_width: int
    display_height: int


def heif_properties(file: Path) -> HeifProperties | None:
    """Read the properties of a HEIC or AVIF picture.

    Args:
        file: The file.

    Returns:
        The properties; None if the file is none of these, or damaged.

    Raises:
        OSError: The file cannot be read.
    """
    meta = read_meta(file)
    if meta is None:
        return None
    try:
        return _combined([(box.kind, meta.data(box)) for box in meta.primary_properties()])
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        return None


_Matrix = tuple[int, int, int, int]
_ANTICLOCKWISE: Final[Sequence[_Matrix]] = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))
_UPSIDE_DOWN: Final[_Matrix] = (1, 0, 0, -1)
_LEFT_TO_RIGHT: Final[_Matrix] = (-1, 0, 0, 1)
"""Where a step to the right goes (right, down), and where a step down goes."""


def _combined(properties: Sequence[tuple[bytes, bytes]]) -> HeifProperties | None:
    size: tuple[int, int] | None = None
    shown: tuple[int, int] | None = None
    matrix: _Matrix = _ANTICLOCKWISE[0]
    for kind, content in properties:
        if kind == b"ispe":
            width, height = struct.unpack_from(">II", content, 4)
            size = shown = (int(width), int(height))
        elif kind == b"clap":
            numbers = struct.unpack_from(">4I", content)
            shown = (round(numbers[0] / numbers[1]), round(numbers[2] / numbers[3]))
        elif kind == b"irot":
            matrix = _followed_by(matrix, _ANTICLOCKWISE[content[0] & 3])
        elif kind == b"imir":
            matrix = _followed_by(matrix, _LEFT_TO_RIGHT if content[0] & 1 else _UPSIDE_DOWN)
    orientation = matrix_orientation(*matrix)
    if size is None or shown is None or orientation is None:
        return None
    if orientation in SWAPPED_ORIENTATIONS:
        shown = (shown[1], shown[0])
    return HeifProperties(*size, orientation, *shown)


def _followed_by(first: _Matrix, second: _Matrix) -> _Matrix:
    a, b, c, d = first
    e, f, g, h = second
    return (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
