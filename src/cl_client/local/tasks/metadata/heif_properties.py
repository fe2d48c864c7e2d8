"""How a HEIC or AVIF picture is turned and cropped, from the properties of its primary item.

ExifTool tells no crop, in older versions no mirroring, and never the order in which they are applied. Pillow
tells only the result.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from cl_client.plugins.exif_fields.display import SWAPPED_ORIENTATIONS, matrix_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_HEADER_LENGTH: Final = 8
_MAX_META_BYTES: Final = 64 * 1024 * 1024
"""The box with all properties; a photo of many tiles has some kilobytes."""
_BRANDS: Final = frozenset(
    {b"avif", b"avis", b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}
)


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
    with file.open("rb") as stream:
        meta = _meta(stream)
    if meta is None:
        return None
    try:
        return _combined(_primary_properties(meta))
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        return None


def _meta(stream: BinaryIO) -> bytes | None:
    """Find the box ``meta`` of a picture in the top level of the file."""
    brands: frozenset[bytes] = frozenset()
    while len(header := stream.read(_HEADER_LENGTH)) == _HEADER_LENGTH:
        size, kind = struct.unpack(">I4s", header)
        length = int(size) - _HEADER_LENGTH
        if size == 1:
            length = int.from_bytes(stream.read(8)) - _HEADER_LENGTH - 8
        if kind == b"ftyp":
            content = stream.read(min(max(length, 0), 1024))
            brands = frozenset(content[i : i + 4] for i in range(0, len(content), 4))
        elif kind == b"meta":
            return stream.read(min(length, _MAX_META_BYTES)) if length > 0 and brands & _BRANDS else None
        elif length < 0 or not brands & _BRANDS:
            return None
        else:
            stream.seek(length, 1)
    return None


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Split into boxes: kinds and contents."""
    position = 0
    while position + _HEADER_LENGTH <= len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        start = position + _HEADER_LENGTH
        if size == 1:
            size, start = struct.unpack_from(">Q", content, start)[0], start + 8
        end = len(content) if size == 0 else position + int(size)
        if end <= position:
            return
        yield bytes(kind), content[start:end]
        position = end


def _primary_properties(meta: bytes) -> list[tuple[bytes, bytes]]:
    """List the properties of the primary item, in the order in which they are applied."""
    boxes = dict(_boxes(meta[4:]))  # behind version and flags
    primary = boxes.get(b"pitm", b"")
    item = int.from_bytes(primary[4:8] if primary[:1] == b"\x01" else primary[4:6])
    properties: list[tuple[bytes, bytes]] = []
    associated: list[int] = []
    for kind, content in _boxes(boxes.get(b"iprp", b"")):
        if kind == b"ipco":
            properties = list(_boxes(content))
        elif kind == b"ipma":  # there may be several
            associated += _associated(content, item)
    return [properties[index - 1] for index in associated if 0 < index <= len(properties)]


def _associated(ipma: bytes, item: int) -> list[int]:
    version, flags = ipma[0], int.from_bytes(ipma[1:4])
    (count,) = struct.unpack_from(">I", ipma, 4)
    position, found = 8, list[int]()
    id_length, index_length = (2 if version == 0 else 4), (2 if flags & 1 else 1)
    for _ in range(int(count)):
        own = int.from_bytes(ipma[position : position + id_length])
        number = ipma[position + id_length]
        position += id_length + 1
        for _ in range(number):
            index = int.from_bytes(ipma[position : position + index_length])
            position += index_length
            if own == item:
                found.append(index & (0x7FFF if index_length == 2 else 0x7F))  # noqa: PLR2004 - bytes
    return found


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
