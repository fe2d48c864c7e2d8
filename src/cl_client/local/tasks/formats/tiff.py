"""The one reader of TIFF directories: in TIFF and BigTIFF files, raw files, and EXIF blocks.

Its limits hold for all that use it. Values and entries stay as stored, so that they can be copied unchanged.
Pillow decodes each value and encodes it again: text that is not ASCII becomes question marks, and types are
guessed. tifffile, too, is made for values, and trusts the numbers of them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

ByteOrder: TypeAlias = Literal["<", ">"]

CLASSIC, BIG = 42, 43
"""The version in the header: TIFF, and BigTIFF with offsets of 8 bytes instead of 4."""
_OLYMPUS, _OLYMPUS_OLD, _PANASONIC = 0x4F52, 0x5352, 0x55
_VERSIONS: Final = frozenset({CLASSIC, BIG, _OLYMPUS, _OLYMPUS_OLD, _PANASONIC})
"""Raw formats that have a version of their own are TIFF all the same."""
SUB_DIRECTORIES: Final = 330
XMP: Final = 700
IPTC: Final = 33723
PHOTOSHOP: Final = 34377
"""Tags; the last one holds Photoshop's image resources."""
MARKS: Final[dict[bytes, ByteOrder]] = {b"II": "<", b"MM": ">"}
"""How a file begins that stores numbers with the lowest byte first (Intel), or last (Motorola)."""
SIZES: Final[dict[int, int]] = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1,
}  # fmt: skip
"""Bytes of one value of each type: TIFF 6.0, chapter 2; 13 is a directory, 129 is UTF-8 of EXIF 3.0."""
_BIG_SIZES: Final = SIZES | {16: 8, 17: 8, 18: 8}
"""With those that only BigTIFF has."""
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""The types of whole numbers and offsets, in the notation of `struct`."""
_MAX_ENTRIES: Final = 0xFFFF
"""More than any directory has; it is the most that can be counted in a TIFF that is not a BigTIFF."""
_MAX_BYTES: Final = 32 * 2**20
"""Bytes that are read from one file, so that entries that point to the same place cannot add up."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value as stored.

    Attributes:
        kind: The type's number.
        content: The value in the byte order of its directory.
    """

    kind: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a directory.

    Attributes:
        tag: Its tag.
        kind: The number of its type.
        count: How many values it has.
        stored: All of its bytes. They end with the values if those fit, otherwise with the offset of them.
    """

    tag: int
    kind: int
    count: int
    stored: bytes


@dataclass(frozen=True, slots=True)
class Entries:
    """A directory as stored.

    Attributes:
        entries: The entries, by their tags.
        following: The offset of the next directory in the chain: the next page, in EXIF the preview; 0 if
            there is none.
    """

    entries: Mapping[int, Entry] = field(default_factory=dict[int, Entry])
    following: int = 0


class TiffReader:
    """Reads directories. What is damaged is left out, and no offset or number is trusted.

    Attributes:
        order: The byte order.
        version: `CLASSIC`, `BIG`, or that of a raw format.
        first: The offset of the first directory.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Read the header.

        Args:
            stream: The file or block; its start is that of the TIFF.

        Raises:
            ValueError: It is not a TIFF.
        """
        self._stream = stream
        self._budget = _MAX_BYTES
        stream.seek(0)
        header = stream.read(16)
        order = MARKS.get(header[:2])
        if order is None:
            raise ValueError("no TIFF header")
        self.order: ByteOrder = order
        try:
            (self.version,) = self._unpack("H", header[2:4])
            is_big = self.version == BIG
            # In the notation of `struct`. An entry counts its values in a number of the size of a pointer.
            self._pointer, self._counter = ("Q", "Q") if is_big else ("I", "H")
            self._room = 8 if is_big else 4
            self._start = header[: self._room]
            (self.first,) = self._unpack(self._pointer, header[self._room : 2 * self._room])
        except struct.error as exc:
            raise ValueError("no TIFF header") from exc
        if self.version not in _VERSIONS:
            raise ValueError("no TIFF header")

    def header(self, first: int) -> bytes:
        """Write the header with another first directory.

        Args:
            first: The offset of the directory.

        Returns:
            The header.

        Raises:
            struct.error: The offset is too large for a TIFF that is not a BigTIFF.
        """
        return self._start + struct.pack(self.order + self._pointer, first)

    def directory(self, entries: Mapping[int, Entry], following: int) -> bytes:
        """Write a directory of entries as stored.

        Args:
            entries: The entries, by their tags.
            following: The offset of the next directory in the chain.

        Returns:
            The directory.
        """
        count = struct.pack(self.order + self._counter, len(entries))
        stored = b"".join(entry.stored for _, entry in sorted(entries.items()))
        return count + stored + struct.pack(self.order + self._pointer, following)

    def entries(self, offset: int) -> Entries:
        """Read a directory without its values.

        Args:
            offset: Where it is.

        Returns:
            The entries, as far as the file goes; none if there is no directory.
        """
        room = self._room
        size = 4 + 2 * room
        try:
            (count,) = self._unpack(self._counter, self._read(offset, struct.calcsize(f"={self._counter}")))
            content = self._stream.read(self._spent(min(count, _MAX_ENTRIES) * size))
            (following,) = self._unpack(self._pointer, self._stream.read(room).ljust(room, b"\0"))
        except (struct.error, ValueError):
            return Entries()
        found: dict[int, Entry] = {}
        for start in range(0, len(content) - size + 1, size):
            stored = content[start : start + size]
            tag, kind, length = self._unpack(f"HH{self._pointer}", stored[:-room])
            found[tag] = Entry(tag, kind, length, stored)
        return Entries(found, following)

    def fields(self, offset: int, wanted: Container[int] | None = None) -> dict[int, Field]:
        """Read a directory with its values. Those that are damaged or too large are left out.

        Args:
            offset: Where it is.
            wanted: The tags to read; None for all.

        Returns:
            The values, by their tags.
        """
        found: dict[int, Field] = {}
        for tag, entry in self.entries(offset).entries.items():
            if (wanted is None or tag in wanted) and (field := self.field(entry)) is not None:
                found[tag] = field
        return found

    def sub_directory(self, directory: Mapping[int, Field], tag: int) -> dict[int, Field]:
        """Read a directory that another one points to.

        Args:
            directory: The other one.
            tag: The tag that points to it.

        Returns:
            The values, by their tags; empty if there is none.
        """
        offset = next(iter(self.numbers(directory.get(tag))), None)
        return {} if offset is None else self.fields(offset)

    def field(self, entry: Entry, *, most: int | None = None) -> Field | None:
        """Read the values of an entry.

        Args:
            entry: The entry.
            most: How many values to read; None for all.

        Returns:
            The values; None if they are damaged or too large.
        """
        size = _BIG_SIZES.get(entry.kind)
        if size is None:
            return None
        length = size * (entry.count if most is None else min(entry.count, most))
        content = entry.stored[-self._room :]
        try:
            if size * entry.count > self._room:
                (offset,) = self._unpack(self._pointer, content)
                content = self._read(offset, length)
        except (struct.error, ValueError):
            return None
        return Field(entry.kind, content[:length]) if len(content) >= length else None

    def numbers(self, field: Field | None) -> tuple[int, ...]:
        """Decode whole numbers or offsets.

        Args:
            field: The value as stored.

        Returns:
            The numbers; empty if there is no value, or it is of another type.
        """
        letter = _INTEGERS.get(field.kind) if field is not None else None
        if field is None or letter is None:
            return ()
        return self._unpack(f"{len(field.content) // _BIG_SIZES[field.kind]}{letter}", field.content)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            self._stream.seek(offset)
        except (OSError, OverflowError) as exc:  # how large an offset may be depends on the file system
            raise ValueError("the offset is beyond any end") from exc
        return self._stream.read(self._spent(length))

    def _spent(self, length: int) -> int:
        if length > self._budget:
            raise ValueError("more than is read from one file")
        self._budget -= length
        return length

    def _unpack(self, form: str, content: bytes) -> tuple[int, ...]:
        return struct.unpack(self.order + form, content)
