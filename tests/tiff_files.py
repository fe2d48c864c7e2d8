"""TIFF files with any directories: previews, SubIFDs, either byte order, BigTIFF."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHORT, LONG = 3, 4
_FORMS = {SHORT: "H", LONG: "I"}


@dataclass(frozen=True)
class Directory:
    """A grey picture in 8 bits, and the directories below it."""

    size: tuple[int, int]
    subfile_type: int | None = None
    old_subfile_type: int | None = None
    children: Sequence[Directory] = ()
    grey: int = 128
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])


def write_tiff(path: Path, chain: Sequence[Directory], *, order: str = "<", big: bool = False) -> None:
    """Write a TIFF.

    Args:
        path: The file.
        chain: The directories of the main chain.
        order: ``<`` for little-endian, ``>`` for big-endian.
        big: Whether to write BigTIFF, with offsets of 8 bytes.
    """
    path.write_bytes(_Writer(order, big=big).content(chain))


class _Writer:
    def __init__(self, order: str, *, big: bool) -> None:
        self._order = order
        self._offset = "Q" if big else "I"
        self._big = big
        self._content = bytearray()

    def content(self, chain: Sequence[Directory]) -> bytes:
        mark = b"II" if self._order == "<" else b"MM"
        self._content += mark + (self._pack("HHHQ", 43, 8, 0, 0) if self._big else self._pack("HI", 42, 0))
        following = 0
        for directory in reversed(chain):
            following = self._write(directory, following)
        position = 8 if self._big else 4
        self._content[position : position + struct.calcsize("=" + self._offset)] = self._pack(
            self._offset, following
        )
        return bytes(self._content)

    def _pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self._order + form, *values)

    def _add(self, data: bytes) -> int:
        """Append data at an even position, and return it."""
        if len(self._content) % 2:
            self._content += b"\0"
        self._content += data
        return len(self._content) - len(data)

    def _write(self, directory: Directory, following: int) -> int:
        width, height = directory.size
        children = tuple(self._write(child, 0) for child in directory.children)
        strip = self._add(bytes([directory.grey]) * (width * height))
        tags: dict[int, tuple[int, ...]] = {
            256: (width,), 257: (height,), 258: (8,), 259: (1,), 262: (1,), 273: (strip,), 277: (1,),
            278: (height,), 279: (width * height,), **directory.tags,
        }  # fmt: skip
        if directory.subfile_type is not None:
            tags[254] = (directory.subfile_type,)
        if directory.old_subfile_type is not None:
            tags[255] = (directory.old_subfile_type,)
        if children:
            tags[330] = children
        entries = b"".join(self._entry(tag, values) for tag, values in sorted(tags.items()))
        count = self._pack("Q" if self._big else "H", len(tags))
        return self._add(count + entries + self._pack(self._offset, following))

    def _entry(self, tag: int, values: tuple[int, ...]) -> bytes:
        kind = SHORT if tag in {255, 258, 259, 262, 274, 277} else LONG
        data = self._pack(f"{len(values)}{_FORMS[kind]}", *values)
        room = struct.calcsize("=" + self._offset)
        if len(data) > room:
            data = self._pack(self._offset, self._add(data))
        return self._pack(f"HH{self._offset}", tag, kind, len(values)) + data.ljust(room, b"\0")
