"""Writing EXIF: as a block, or into a TIFF file, with values that are copied byte for byte."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from cl_client.local.tasks.formats.tiff import CLASSIC, MARKS, SIZES, Field, TiffReader

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.tasks.formats.tiff import ByteOrder

Directory: TypeAlias = "dict[int, Field | Directory]"
"""A directory by tags; a directory in place of a value is a sub-directory. Types are those of `SIZES`."""
_LONG: Final = 4
_UNITS: Final = SIZES | {5: 4, 10: 4}
"""Bytes that are reversed together in the other byte order; a rational is two numbers."""


def tiff_block(directory: Directory, order: ByteOrder) -> bytes:
    """Write a TIFF of one directory without pixels, which is what EXIF is.

    Args:
        directory: The values, in this byte order.
        order: The byte order.

    Returns:
        The block.
    """
    mark = next(mark for mark, marked in MARKS.items() if marked == order)
    return mark + struct.pack(order + "HI", CLASSIC, 8) + _written(directory, order, 8)


def add_fields(file: Path, directory: Directory, order: ByteOrder) -> None:
    """Add values to the first directory of a TIFF file, in place of those that it has.

    A new directory is written to the end of the file; the pixels stay where they are.

    Args:
        file: A TIFF that is not a BigTIFF.
        directory: The values.
        order: Their byte order; that of the file may be another.
    """
    with file.open("r+b") as stream:
        reader = TiffReader(stream)
        if order != reader.order:
            directory = _swapped(directory)
        old = reader.entries(reader.first)
        end = stream.seek(0, 2)
        start = end + stream.write(bytes(end % 2))
        end = start + stream.write(_written(directory, reader.order, start))
        added = reader.entries(start)
        stream.seek(end)
        stream.write(reader.directory({**old.entries, **added.entries}, old.following))
        stream.seek(0)
        stream.write(reader.header(end))


def _written(directory: Directory, order: ByteOrder, offset: int) -> bytes:
    """Write a directory that will be at an even offset, with its values and sub-directories behind it."""
    entries = struct.pack(order + "H", len(directory))
    start = offset + 2 + 12 * len(directory) + 4
    values = bytearray()
    for tag, field in sorted(directory.items()):
        pointer = struct.pack(order + "I", start + len(values))
        if isinstance(field, Field):
            kind, content = field.kind, field.content
            count = len(content) // SIZES[kind]
            if len(content) > len(pointer):
                values += content + bytes(len(content) % 2)
                content = pointer
        else:
            kind, count, content = _LONG, 1, pointer
            values += _written(field, order, start + len(values))
        entries += struct.pack(order + "HHI", tag, kind, count) + content.ljust(4, b"\0")
    return entries + bytes(4) + bytes(values)


def _swapped(directory: Directory) -> Directory:
    """Turn the values into the other byte order."""
    swapped: Directory = {}
    for tag, field in directory.items():
        if isinstance(field, Field):
            unit, content = _UNITS[field.kind], field.content
            swapped[tag] = Field(
                field.kind,
                b"".join(content[at : at + unit][::-1] for at in range(0, len(content), unit))
                if unit > 1
                else content,
            )
        else:
            swapped[tag] = _swapped(field)
    return swapped
