"""The directories of a TIFF, and which of them is the full picture.

Camera raw formats (NEF, ARW, DNG), scans and pyramids often begin with a small preview; the full picture then
stands in a SubIFD or in a later directory. Pillow opens the first one, whatever it is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_HEADER_LENGTH: Final = 16
_CLASSIC: Final = 42
_BIG: Final = 43
"""The version in the header of BigTIFF, with offsets of 8 bytes instead of 4."""
_MAX_DIRECTORIES: Final = 1000
_MAX_SUBDIRECTORIES: Final = 100
_MAX_ENTRIES: Final = 0xFFFF
"""Far more than a raw file or a pyramid has."""

_NEW_SUBFILE_TYPE: Final = 254
_OLD_SUBFILE_TYPE: Final = 255
_WIDTH: Final = 256
_HEIGHT: Final = 257
_COMPRESSION: Final = 259
_PHOTOMETRIC: Final = 262
_SUB_DIRECTORIES: Final = 330
_REDUCED: Final = 0b101
"""Bits of NewSubfileType: a reduced version of another picture, a transparency mask."""
_OTHER_PLANES: Final = frozenset({8, 16, 65540})
"""NewSubfileType of DNG: a depth map, an enhanced version of the raw picture, a semantic mask."""
_OLD_REDUCED: Final = 2
_WANTED: Final = frozenset(
    {_NEW_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SUB_DIRECTORIES}
)
_INTEGER_TYPES: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""The field types of whole numbers and offsets, in the notation of `struct`."""


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """One directory (IFD) of a TIFF: a picture.

    Attributes:
        offset: Where the directory begins, in bytes from the start of the file.
        frame: Its number in the main chain, as Pillow's ``seek`` takes it; None for a SubIFD.
        width: Width in pixels.
        height: Height in pixels.
        compression: The number of its compression; 1 is none.
        photometric: What its samples mean; 32803 is a sensor's colour filter array, 34892 linear raw.
        reduced: Whether it is marked as a preview, a mask or another plane, instead of the picture itself.
    """

    offset: int
    frame: int | None
    width: int
    height: int
    compression: int
    photometric: int | None
    reduced: bool


def tiff_directories(file: Path) -> list[TiffDirectory]:
    """Read the directories of a TIFF: each of the main chain, followed by its SubIFDs.

    Args:
        file: The file.

    Returns:
        The directories that have a size, up to the first damage; empty if the file is not a TIFF.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        return list(_directories(stream))


def full_size_directory(file: Path) -> TiffDirectory | None:
    """Find the full picture of a TIFF: the first directory that is not marked as reduced.

    Args:
        file: The file.

    Returns:
        The directory, which is the first one in most files; None if the file is not a TIFF, is damaged, or
        has only reduced pictures.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        return next((directory for directory in _directories(stream) if not directory.reduced), None)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are stored."""

    order: Literal["<", ">"]
    big: bool

    @property
    def pointer(self) -> str:
        return "Q" if self.big else "I"

    @property
    def pointer_size(self) -> int:
        return 8 if self.big else 4

    @property
    def entry(self) -> str:
        """The tag, the type of its values, and their number; the values or a pointer to them follow."""
        return f"HH{self.pointer}"

    @property
    def entry_size(self) -> int:
        return 4 + 2 * self.pointer_size

    def unpack(self, form: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack(self.order + form, data)


def _directories(stream: BinaryIO) -> Iterator[TiffDirectory]:
    """Yield the directories, each once, up to the first damage in the main chain."""
    header = stream.read(_HEADER_LENGTH)
    layout = _layout(header)
    if layout is None:
        return
    (offset,) = layout.unpack("Q", header[8:16]) if layout.big else layout.unpack("I", header[4:8])
    seen: set[int] = set()
    frame = 0
    while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
        directory = _read_directory(stream, layout, offset)
        if directory is None:
            return
        seen.add(offset)
        if (picture := _described(directory.values, offset, frame)) is not None:
            yield picture
        for start in directory.values.get(_SUB_DIRECTORIES, ()):
            below = None if start in seen else _read_directory(stream, layout, start)
            seen.add(start)
            if below is not None and (picture := _described(below.values, start, None)) is not None:
                yield picture
        offset, frame = directory.following, frame + 1


def _layout(header: bytes) -> _Layout | None:
    order: Literal["<", ">"] = "<" if header[:2] == b"II" else ">"
    if header[:2] not in {b"II", b"MM"} or len(header) < _HEADER_LENGTH:
        return None
    version = int.from_bytes(header[2:4], "little" if order == "<" else "big")
    return _Layout(order, version == _BIG) if version in {_CLASSIC, _BIG} else None


def _described(values: Mapping[int, tuple[int, ...]], offset: int, frame: int | None) -> TiffDirectory | None:
    def first(tag: int) -> int | None:
        return next(iter(values.get(tag, ())), None)

    width, height = first(_WIDTH), first(_HEIGHT)
    if not width or not height:
        return None
    kind, old_kind = first(_NEW_SUBFILE_TYPE) or 0, first(_OLD_SUBFILE_TYPE)
    reduced = bool(kind & _REDUCED) or kind in _OTHER_PLANES or old_kind == _OLD_REDUCED
    compression = first(_COMPRESSION)
    return TiffDirectory(offset, frame, width, height, compression or 1, first(_PHOTOMETRIC), reduced)


@dataclass(frozen=True, slots=True)
class _Directory:
    """The tags that matter here, and the offset of the next directory in the chain."""

    values: dict[int, tuple[int, ...]]
    following: int


def _read_directory(stream: BinaryIO, layout: _Layout, offset: int) -> _Directory | None:
    """Read a directory; None if it is outside of the file or truncated."""
    try:
        stream.seek(offset)
        (count,) = layout.unpack("Q", stream.read(8)) if layout.big else layout.unpack("H", stream.read(2))
        size = layout.entry_size
        entries = stream.read(min(count, _MAX_ENTRIES) * size)
        pointer = stream.read(layout.pointer_size).ljust(layout.pointer_size, b"\0")
        values: dict[int, tuple[int, ...]] = {}
        for start in range(0, len(entries) - size + 1, size):
            entry = entries[start : start + size]
            tag, kind, length = layout.unpack(layout.entry, entry[: -layout.pointer_size])
            form = _INTEGER_TYPES.get(kind)
            if tag in _WANTED and form is not None:
                data = entry[-layout.pointer_size :]
                values[tag] = _values(stream, layout, f"{min(length, _MAX_SUBDIRECTORIES)}{form}", data)
        (following,) = layout.unpack(layout.pointer, pointer)
    except (struct.error, OverflowError, OSError):
        return None
    return _Directory(values, following)


def _values(stream: BinaryIO, layout: _Layout, form: str, data: bytes) -> tuple[int, ...]:
    """Read the values of an entry: they stand in the entry if they fit, otherwise where it points to."""
    length = struct.calcsize(f"{layout.order}{form}")
    if length > len(data):
        (offset,) = layout.unpack(layout.pointer, data)
        stream.seek(offset)
        data = stream.read(length)
    return layout.unpack(form, data[:length])
