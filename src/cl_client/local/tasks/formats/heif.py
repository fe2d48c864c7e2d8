"""The one reader of the boxes in HEIC and AVIF files: which picture has which properties.

The boxes are those of ISO/IEC 14496-12, the properties those of ISO/IEC 23008-12, 6.5 and 9.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BRANDS: Final = frozenset(
    {
        b"avif", b"avis", b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevm", b"hevs", b"hevx",
        b"mif1", b"mif2", b"msf1",
    }
)  # fmt: skip
"""Brands by which a file says that it is a HEIC or AVIF picture, and no video."""
_MAX_BRANDS: Final = 1024
"""Bytes; a file names some ten brands."""
_MAX_META: Final = 16_000_000
"""Bytes; far more than the description of thousands of pictures takes."""
_LARGE: Final = 1
"""In a version or in flags: the numbers of pictures, or those of properties, take more bytes."""


class Box(NamedTuple):
    """A box in a buffer: its type, where it begins, where its content begins, and where it ends."""

    kind: bytes
    start: int
    content: int
    end: int


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Read the boxes that follow each other in a buffer.

    Args:
        data: The buffer.
        start: Where the first one begins.
        end: Where the last one ends.

    Yields:
        The boxes, up to the first damage.
    """
    while start + 8 <= end:
        size, kind, content = *struct.unpack_from(">I4s", data, start), start + 8
        if size == 1 and start + 16 <= end:
            size, content = int.from_bytes(data[start + 8 : start + 16]), start + 16
        stop = end if size == 0 else start + size
        if not content <= stop <= end:
            return
        yield Box(kind, start, content, stop)
        start = stop


@dataclass(frozen=True, slots=True)
class Meta:
    """The box that describes the pictures of a file.

    Attributes:
        brand: The major brand of the file.
        offset: Where its content begins in the file.
        content: Its content.
    """

    brand: bytes
    offset: int
    content: bytes

    def child(self, *path: bytes) -> Box | None:
        """Find a box by the types of the boxes that it stands in, and its own.

        Args:
            path: The types, the outermost first.

        Returns:
            The first such box; None if there is none.
        """
        start, end = 4, len(self.content)  # after version and flags
        found: Box | None = None
        for kind in path:
            found = next((box for box in boxes(self.content, start, end) if box.kind == kind), None)
            if found is None:
                return None
            start, end = found.content, found.end
        return found

    def data(self, box: Box) -> bytes:
        """Return what a box holds.

        Args:
            box: The box.

        Returns:
            Its content.
        """
        return self.content[box.content : box.end]

    def primary_properties(self) -> list[Box]:
        """Find the properties of the picture that is shown.

        Returns:
            Their boxes, in the order in which they are applied.

        Raises:
            struct.error: A box is truncated.
        """
        primary, container = self.child(b"pitm"), self.child(b"iprp", b"ipco")
        if primary is None or container is None:
            return []
        stored = self.data(primary)
        item = int.from_bytes(
            stored[4:8] if stored[:1] == b"\x01" else stored[4:6]
        )  # after version and flags
        properties = list(boxes(self.content, container.content, container.end))
        numbers = [
            number & one.property_mask for one in self.associations() for number in one.items.get(item, ())
        ]
        return [properties[number - 1] for number in numbers if 0 < number <= len(properties)]

    def associations(self) -> list[Associations]:
        """Read which picture has which properties.

        Returns:
            One for each box of this kind; a file should have one for each layout.
        """
        properties = self.child(b"iprp")
        if properties is None:
            return []
        inner = boxes(self.content, properties.content, properties.end)
        return [Associations.read(self.content, box) for box in inner if box.kind == b"ipma"]


@dataclass(frozen=True, slots=True)
class Associations:
    """The content of an ``ipma`` box.

    Attributes:
        box: Where it stands.
        layout: Its version and flags, which say how numbers are stored.
        items: For each picture the numbers of its properties, counted from 1, with the bit "essential".
    """

    box: Box
    layout: tuple[int, int]
    items: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    @classmethod
    def read(cls, data: bytes, box: Box) -> Associations:
        """Read a box.

        Args:
            data: The buffer.
            box: The box.

        Returns:
            Its content.

        Raises:
            struct.error: The box is truncated.
        """
        version_and_flags, count = struct.unpack_from(">II", data[: box.end], box.content)
        found = cls(box, (version_and_flags >> 24, version_and_flags & 0xFFFFFF))
        position = box.content + 8
        for _ in range(count):
            numbers = struct.unpack_from(found._item_form, data[: box.end], position)
            item, length = cast("tuple[int, int]", numbers)
            position += struct.calcsize(found._item_form)
            form = f">{length}{found._property_form}"
            found.items.setdefault(item, []).extend(struct.unpack_from(form, data[: box.end], position))
            position += struct.calcsize(form)
        return found

    @property
    def property_mask(self) -> int:
        """The bits of a property's number, without the bit "essential"."""
        return 0x7FFF if self.layout[1] & _LARGE else 0x7F

    @property
    def _item_form(self) -> str:
        return ">IB" if self.layout[0] >= _LARGE else ">HB"

    @property
    def _property_form(self) -> str:
        return "H" if self.layout[1] & _LARGE else "B"

    def packed(self) -> bytes:
        """Write the box, with the pictures in the order of their numbers.

        Returns:
            The whole box.

        Raises:
            struct.error: A picture has more properties than can be counted.
        """
        version, flags = self.layout
        content = struct.pack(">II", version << 24 | flags, len(self.items))
        for item, properties in sorted(self.items.items()):
            content += struct.pack(self._item_form, item, len(properties))
            content += struct.pack(f">{len(properties)}{self._property_form}", *properties)
        return struct.pack(">I4s", 8 + len(content), b"ipma") + content


def read_meta(file: Path) -> Meta | None:
    """Read the description of the pictures in a HEIC or AVIF file.

    Args:
        file: The file.

    Returns:
        The box ``meta``; None if the file is none of these, or the box is damaged or too large.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        brand: bytes | None = None
        start = 0
        while len(header := stream.read(16)) >= 8:  # noqa: PLR2004 - size and type
            size, kind = struct.unpack_from(">I4s", header)
            content = 8
            if size == 1 and len(header) == 16:  # noqa: PLR2004 - with a size of 8 bytes
                size, content = int.from_bytes(header[8:]), 16
            if size < content or (brand is None and kind != b"ftyp"):
                return None
            length = size - content
            stream.seek(start + content)
            if brand is None:
                brand = _picture_brand(stream.read(min(length, _MAX_BRANDS)))
                if brand is None:
                    return None
            elif kind == b"meta":
                data = stream.read(length) if length <= _MAX_META else b""
                return Meta(brand, start + content, data) if data and len(data) == length else None
            start += size
            stream.seek(start)
    return None


def _picture_brand(content: bytes) -> bytes | None:
    """Return the major brand of a picture. Its version follows it, and then the other brands."""
    brands = {content[at : at + 4] for at in range(0, len(content), 4)}
    return content[:4] if brands & BRANDS else None
