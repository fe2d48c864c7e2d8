"""A TIFF whose first directory is a preview, shown to Pillow as if the full picture were the first one.

Pillow opens the first directory of the main chain, and cannot open a SubIFD at all.
"""

from __future__ import annotations

import io
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, cast

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from cl_client.local.tasks.media.tiff_directories import TiffDirectory

_BIG_TIFF: Final = 43
_SUB_DIRECTORIES: Final = 330
_ABOUT_THE_PHOTO: Final = frozenset({
    269, 270, 271, 272, 274, 282, 283, 285, 296, 305, 306, 315, 316, 700, 18246, 18249, 33432, 33723, 34377,
    34665, 34675, 34853, 40091, 40092, 40093, 40094, 40095,
})  # fmt: skip
"""Tags that stand in the first directory and hold for the full picture too: description, camera, orientation,
resolution, author, rating, XMP, IPTC, Photoshop's blocks, EXIF, ICC profile, GPS position, Windows' texts."""


@contextmanager
def with_first_directory(file: Path, full: TiffDirectory) -> Generator[BinaryIO]:
    """Show a TIFF with another directory as the first one of its main chain.

    Nothing is copied: only the header and a directory that is added at the end differ from the file. That
    directory has the tags of the full picture, and those of the first one that say how the photo was taken.

    Args:
        file: The TIFF.
        full: The directory of the full picture.

    Yields:
        The stream for Pillow. It has no file descriptor, by which libtiff would see the file as it is.

    Raises:
        struct.error: The file is damaged, or so large that nothing can be added to it.
    """
    with file.open("rb") as stream, io.BufferedReader(_patched(stream, full)) as shown:
        yield shown


def _patched(stream: BinaryIO, full: TiffDirectory) -> _Patched:
    layout = _layout(stream)
    first = _entries(stream, layout, layout.first)
    picture = _entries(stream, layout, full.offset)
    inherited = {tag: entry for tag, entry in first.tags.items() if tag in _ABOUT_THE_PHOTO}
    tags = inherited | {tag: entry for tag, entry in picture.tags.items() if tag != _SUB_DIRECTORIES}
    following = first.following if full.frame is None else picture.following
    directory = (
        layout.pack(layout.count, len(tags))
        + b"".join(tags[tag] for tag in sorted(tags))
        + layout.pack(layout.pointer, following)
    )
    end = stream.seek(0, io.SEEK_END)
    padding = -end % 8
    header = _read(stream, 0, layout.first_at) + layout.pack(layout.pointer, end + padding)
    return _Patched(stream, header, bytes(padding) + directory)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are stored: byte order, and their sizes in TIFF and BigTIFF."""

    order: Literal["<", ">"]
    count: Literal["H", "Q"]
    pointer: Literal["I", "Q"]
    first_at: int
    first: int

    @property
    def entry_size(self) -> int:
        return struct.calcsize(f"{self.order}HH{self.pointer}{self.pointer}")

    def pack(self, form: str, value: int) -> bytes:
        return struct.pack(self.order + form, value)

    def unpack(self, form: str, data: bytes) -> int:
        return _number(self.order + form, data)


def _number(form: str, data: bytes) -> int:
    (value,) = cast("tuple[int]", struct.unpack(form, data))
    return value


def _layout(stream: BinaryIO) -> _Layout:
    header = _read(stream, 0, 16)
    order = "<" if header.startswith(b"II") else ">"
    if _number(f"{order}H", header[2:4]) == _BIG_TIFF:
        return _Layout(order, "Q", "Q", 8, _number(f"{order}Q", header[8:16]))
    return _Layout(order, "H", "I", 4, _number(f"{order}I", header[4:8]))


@dataclass(frozen=True, slots=True)
class _Entries:
    """The entries of a directory as stored, by their tags, and the offset of the next directory."""

    tags: Mapping[int, bytes]
    following: int


def _entries(stream: BinaryIO, layout: _Layout, offset: int) -> _Entries:
    count_size = struct.calcsize(layout.order + layout.count)
    size = layout.entry_size
    count = layout.unpack(layout.count, _read(stream, offset, count_size))
    content = _read(stream, offset + count_size, min(count, 0xFFFF) * size)
    entries = (content[start : start + size] for start in range(0, len(content) - size + 1, size))
    after = _read(stream, offset + count_size + count * size, struct.calcsize(layout.order + layout.pointer))
    return _Entries(
        {layout.unpack("H", entry[:2]): entry for entry in entries}, layout.unpack(layout.pointer, after)
    )


def _read(stream: BinaryIO, offset: int, length: int) -> bytes:
    stream.seek(offset)
    return stream.read(length)


class _Patched(io.RawIOBase):
    """A file with other bytes at its start, and more at its end."""

    def __init__(self, stream: BinaryIO, start: bytes, appended: bytes) -> None:
        self._stream = stream
        self._start = start
        self._appended = appended
        self._length = stream.seek(0, io.SEEK_END)
        self._position = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_CUR: self._position, io.SEEK_END: self._length + len(self._appended)}.get(whence, 0)
        self._position = max(0, base + offset)
        return self._position

    @override
    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - io.BufferedReader gives no other buffer
        position, wanted = self._position, len(buffer)
        if position < len(self._start):
            data = self._start[position : position + wanted]
        elif position < self._length:
            data = _read(self._stream, position, min(wanted, self._length - position))
        else:
            after = position - self._length
            data = self._appended[after : after + wanted]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
