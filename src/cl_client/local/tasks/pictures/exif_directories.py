"""Directories of TIFF files and EXIF: their values are copied byte for byte.

Pillow can copy them too, but decodes each value and encodes it again: text that is not ASCII becomes question
marks, and types are guessed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

ByteOrder: TypeAlias = Literal["<", ">"]

_MARKS: Final[dict[bytes, ByteOrder]] = {b"II": "<", b"MM": ">"}
_CLASSIC, _BIG = 42, 43
_OLYMPUS, _OLYMPUS_OLD, _PANASONIC = 0x4F52, 0x5352, 0x55
_VERSIONS: Final = frozenset({_CLASSIC, _BIG, _OLYMPUS, _OLYMPUS_OLD, _PANASONIC})
"""The version in the header; raw formats that have one of their own are TIFF all the same."""
_LONG: Final = 4
_POINTERS: Final = {_LONG: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
"""Bytes of one value of each type; those that only BigTIFF has are left out."""
_UNITS: Final = _SIZES | {5: 4, 10: 4}
"""Bytes that are reversed together in the other byte order; a rational is two numbers."""
_MAX_OFFSET: Final = 2**48
"""Larger offsets of a damaged BigTIFF are not passed on to the system, which refuses them in various ways."""
_MAX_BYTES: Final = 32 * 2**20
"""Bytes of values that are read from one file, so that entries that point to the same place cannot add up."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value as stored.

    Attributes:
        kind: The type's number.
        content: The value in the byte order of its directory.
    """

    kind: int
    content: bytes


Directory: TypeAlias = "dict[int, Field | Directory]"
"""A directory by tags; a directory in place of a value is a sub-directory."""


class DirectoryReader:
    """Reads directories of a TIFF, a BigTIFF or an EXIF block.

    Attributes:
        order: The byte order.
        first: Where the first directory is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Read the header.

        Args:
            stream: The file or block, from its start.

        Raises:
            ValueError: It is not a TIFF.
        """
        self._stream = stream
        self._budget = _MAX_BYTES
        stream.seek(0)
        order = _MARKS.get(stream.read(2))
        if order is None:
            raise ValueError("no TIFF header")
        self.order: ByteOrder = order
        try:
            (version,) = self._unpack("H")
            if version not in _VERSIONS:
                raise ValueError("no TIFF header")
            self._big = version == _BIG
            if self._big:
                stream.seek(8)
            (self.first,) = self._unpack("Q" if self._big else "I")
        except struct.error as exc:
            raise ValueError("no TIFF header") from exc

    def directory(self, offset: int, wanted: Container[int] | None = None) -> dict[int, Field]:
        """Read one directory. Entries that are damaged or too large are left out.

        Args:
            offset: Where it is.
            wanted: The tags to read; None for all.

        Returns:
            The values by tag.
        """
        fields: dict[int, Field] = {}
        for at in self._entries(offset):
            try:
                self._seek(at)
                tag, kind, count = self._unpack("HHQ" if self._big else "HHI")
                if (wanted is None or tag in wanted) and kind in _SIZES:
                    fields[tag] = Field(kind, self._content(count * _SIZES[kind]))
            except (struct.error, ValueError):
                continue
        return fields

    def sub_directory(self, directory: dict[int, Field], tag: int) -> dict[int, Field]:
        """Read a directory that another one points to.

        Args:
            directory: The other one.
            tag: The tag that points to it.

        Returns:
            The values by tag; empty if there is none.
        """
        field = directory.get(tag)
        letter = _POINTERS.get(field.kind) if field is not None else None
        if field is None or letter is None or len(field.content) < struct.calcsize(letter):
            return {}
        (offset,) = _numbers(self.order + letter, field.content[: struct.calcsize(letter)])
        return self.directory(offset)

    def offset_after(self, offset: int) -> int:
        """Find the directory that follows: the next page of a TIFF, the preview in EXIF.

        Args:
            offset: Where a directory is.

        Returns:
            Where the next one is; 0 if there is none.
        """
        entries = self._entries(offset)
        end = entries.stop if entries else offset + 2
        try:
            self._seek(end)
            return self._unpack("Q" if self._big else "I")[0]
        except (struct.error, ValueError):
            return 0

    def _entries(self, offset: int) -> range:
        try:
            self._seek(offset)
            (count,) = self._unpack("Q" if self._big else "H")
        except (struct.error, ValueError):
            return range(0)
        size, start = (20, offset + 8) if self._big else (12, offset + 2)
        return range(start, start + size * min(count, 0xFFFF), size)

    def _content(self, length: int) -> bytes:
        if length > self._budget:
            raise ValueError("more values than are kept")
        self._budget -= length
        if length > (8 if self._big else 4):
            (offset,) = self._unpack("Q" if self._big else "I")
            self._seek(offset)
        content = self._stream.read(length)
        if len(content) < length:
            raise ValueError("the value is beyond the end")
        return content

    def _seek(self, offset: int) -> None:
        if offset > _MAX_OFFSET:
            raise ValueError("the offset is beyond any end")
        self._stream.seek(offset)

    def _unpack(self, letters: str) -> tuple[int, ...]:
        layout = self.order + letters
        return _numbers(layout, self._stream.read(struct.calcsize(layout)))


def tiff_block(directory: Directory, order: ByteOrder) -> bytes:
    """Write a TIFF of one directory without pixels, which is what EXIF is.

    Args:
        directory: The values, in this byte order.
        order: The byte order.

    Returns:
        The block.
    """
    mark = next(mark for mark, marked in _MARKS.items() if marked == order)
    return mark + struct.pack(order + "HI", _CLASSIC, 8) + _written(directory, order, 8)


def add_fields(file: Path, directory: Directory, order: ByteOrder) -> None:
    """Add values to the first directory of a TIFF file, in place of those that it has.

    A new directory is written to the end of the file; the pixels stay where they are.

    Args:
        file: A TIFF that is not a BigTIFF.
        directory: The values.
        order: Their byte order; that of the file may be another.
    """
    with file.open("r+b") as stream:
        reader = DirectoryReader(stream)
        if order != reader.order:
            directory = _swapped(directory)
        stream.seek(reader.first)
        (count,) = _numbers(reader.order + "H", stream.read(2))
        entries = _entries_by_tag(stream.read(12 * count), reader.order)
        following = stream.read(4)
        end = stream.seek(0, 2)
        end += stream.write(bytes(end % 2))
        written = _written(directory, reader.order, end)
        stream.write(written)
        entries |= _entries_by_tag(written[2 : 2 + 12 * len(directory)], reader.order)
        stream.write(struct.pack(reader.order + "H", len(entries)))
        stream.write(b"".join(entry for _, entry in sorted(entries.items())) + following)
        stream.seek(4)
        stream.write(struct.pack(reader.order + "I", end + len(written)))


def _entries_by_tag(entries: bytes, order: ByteOrder) -> dict[int, bytes]:
    cut = (entries[at : at + 12] for at in range(0, len(entries), 12))
    return {_numbers(order + "H", entry[:2])[0]: entry for entry in cut}


def _written(directory: Directory, order: ByteOrder, offset: int) -> bytes:
    """Write a directory that will be at an even offset, with its values and sub-directories behind it."""
    entries = struct.pack(order + "H", len(directory))
    start = offset + 2 + 12 * len(directory) + 4
    values = bytearray()
    for tag, field in sorted(directory.items()):
        pointer = struct.pack(order + "I", start + len(values))
        if isinstance(field, Field):
            kind, content = field.kind, field.content
            count = len(content) // _SIZES[kind]
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


def _numbers(layout: str, content: bytes) -> tuple[int, ...]:
    return struct.unpack(layout, content)
