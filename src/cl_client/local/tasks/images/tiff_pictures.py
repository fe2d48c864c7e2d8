"""A TIFF whose first directory is a preview, shown to Pillow as if the full picture were the first one.

Pillow opens the first directory of the main chain, and cannot open a SubIFD at all.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from typing_extensions import override

from cl_client.local.tasks.formats.tiff import SUB_DIRECTORIES, TiffReader

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from cl_client.local.tasks.formats.tiff_directories import TiffDirectory

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
        struct.error: The file is so large that nothing can be added to it.
    """
    with file.open("rb") as stream, io.BufferedReader(_patched(stream, full)) as shown:
        yield shown


def _patched(stream: BinaryIO, full: TiffDirectory) -> _Patched:
    reader = TiffReader(stream)
    first = reader.entries(reader.first)
    picture = reader.entries(full.offset)
    inherited = {tag: entry for tag, entry in first.entries.items() if tag in _ABOUT_THE_PHOTO}
    own = {tag: entry for tag, entry in picture.entries.items() if tag != SUB_DIRECTORIES}
    following = first.following if full.frame is None else picture.following
    directory = reader.directory({**inherited, **own}, following)
    end = stream.seek(0, io.SEEK_END)
    padding = -end % 8
    return _Patched(stream, reader.header(end + padding), bytes(padding) + directory)


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
            self._stream.seek(position)
            data = self._stream.read(min(wanted, self._length - position))
        else:
            after = position - self._length
            data = self._appended[after : after + wanted]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
