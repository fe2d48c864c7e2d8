"""The directories of a TIFF, and which of them is the full picture.

Camera raw formats (NEF, ARW, DNG), scans and pyramids often begin with a small preview; the full picture then
stands in a SubIFD or in a later directory. Pillow opens the first one, whatever it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from cl_client.local.tasks.formats.tiff import BIG, CLASSIC, SUB_DIRECTORIES, TiffReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from cl_client.local.tasks.formats.tiff import Entries

_MAX_DIRECTORIES: Final = 1000
_MAX_SUBDIRECTORIES: Final = 100
"""Far more than a raw file or a pyramid has."""

_NEW_SUBFILE_TYPE: Final = 254
_OLD_SUBFILE_TYPE: Final = 255
_WIDTH: Final = 256
_HEIGHT: Final = 257
_PHOTOMETRIC: Final = 262
_REDUCED: Final = 0b101
"""Bits of NewSubfileType: a reduced version of another picture, a transparency mask."""
_OTHER_PLANES: Final = frozenset({8, 16, 65540})
"""NewSubfileType of DNG: a depth map, an enhanced version of the raw picture, a semantic mask."""
_OLD_REDUCED: Final = 2
_WANTED: Final = frozenset(
    {_NEW_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _WIDTH, _HEIGHT, _PHOTOMETRIC, SUB_DIRECTORIES}
)


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """One directory (IFD) of a TIFF: a picture.

    Attributes:
        offset: Where the directory begins, in bytes from the start of the file.
        frame: Its number in the main chain, as Pillow's ``seek`` takes it; None for a SubIFD.
        width: Width in pixels.
        height: Height in pixels.
        photometric: What its samples mean; 32803 is a sensor's colour filter array, 34892 linear raw.
        reduced: Whether it is marked as a preview, a mask or another plane, instead of the picture itself.
    """

    offset: int
    frame: int | None
    width: int
    height: int
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


def full_size_directory(directories: Iterable[TiffDirectory]) -> TiffDirectory | None:
    """Find the full picture of a TIFF: the first directory that is not marked as reduced.

    Args:
        directories: Its directories.

    Returns:
        The directory, which is the first one in most files; None if there are none, or only reduced pictures.
    """
    return next((directory for directory in directories if not directory.reduced), None)


def _directories(stream: BinaryIO) -> Iterator[TiffDirectory]:
    """Yield the directories, each once, up to the first damage in the main chain."""
    try:
        reader = TiffReader(stream)
    except ValueError:
        return
    if reader.version not in {CLASSIC, BIG}:
        return
    offset, frame = reader.first, 0
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
        directory = reader.entries(offset)
        seen.add(offset)
        values = _values(reader, directory)
        if (picture := _described(values, offset, frame)) is not None:
            yield picture
        for start in values.get(SUB_DIRECTORIES, ()):
            below = {} if start in seen else _values(reader, reader.entries(start))
            seen.add(start)
            if (picture := _described(below, start, None)) is not None:
                yield picture
        offset, frame = directory.following, frame + 1


def _values(reader: TiffReader, directory: Entries) -> dict[int, tuple[int, ...]]:
    entries = directory.entries
    fields = {tag: reader.field(entries[tag], most=_MAX_SUBDIRECTORIES) for tag in _WANTED & entries.keys()}
    return {tag: reader.numbers(field) for tag, field in fields.items()}


def _described(values: Mapping[int, tuple[int, ...]], offset: int, frame: int | None) -> TiffDirectory | None:
    def first(tag: int) -> int | None:
        return next(iter(values.get(tag, ())), None)

    width, height = first(_WIDTH), first(_HEIGHT)
    if not width or not height:
        return None
    kind, old_kind = first(_NEW_SUBFILE_TYPE) or 0, first(_OLD_SUBFILE_TYPE)
    reduced = bool(kind & _REDUCED) or kind in _OTHER_PLANES or old_kind == _OLD_REDUCED
    return TiffDirectory(offset, frame, width, height, first(_PHOTOMETRIC), reduced)
