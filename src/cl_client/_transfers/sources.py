"""Sources of uploads, read without blocking the event loop."""

from __future__ import annotations

import contextlib
import io
import mimetypes
import os
import select
import stat
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator
from dataclasses import dataclass
from inspect import iscoroutinefunction
from pathlib import Path
from typing import BinaryIO, Final, cast

from typing_extensions import override

from cl_client._core.threads import in_own_thread, in_thread_unless_cancelled
from cl_client._errors import InvalidParameterError, UploadNotRepeatableError
from cl_client._transfers.content_types import UNKNOWN_TYPE, type_of_content, type_of_media
from cl_client._transfers.names import base_name
from cl_client.options import BinaryFile, LocalSource, UploadStream

CHUNK_SIZE: Final = 1 << 20
_HEAD_SIZE: Final = 4096
_POLL_MS: Final = 100


class Source(ABC):
    """A checked file to upload.

    Attributes:
        name: File name without folders.
        size: Size in bytes; None if it is not known before the end.
        head: First bytes of the content.
        media_type: MIME type.
    """

    name: str = "file"
    size: int | None = None
    head: bytes = b""
    media_type: str = UNKNOWN_TYPE

    @abstractmethod
    def blocks(self) -> AsyncGenerator[bytes]:
        """Read the whole content from its beginning.

        Returns:
            An async generator of the content, in blocks of any size.
        """

    async def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Close what was opened to read the source."""

    def find_media_type(self) -> None:
        """Set the MIME type by the name's extension, or else by the content. The first call reads files."""
        by_name, compression = mimetypes.guess_type(self.name)
        self.media_type = type_of_content(self.head) if by_name is None or compression else by_name


async def open_source(source: LocalSource) -> Source:
    """Open and check a file, without blocking the event loop: a network drive may be slow.

    Args:
        source: The file.

    Returns:
        The checked source.

    Raises:
        InvalidParameterError: The file is not found, a folder, not readable, empty, or not a binary file.
    """
    if isinstance(source, bytes):
        found: Source = _Bytes(source)
    elif isinstance(source, str | Path):
        found = await in_thread_unless_cancelled(_FileOnDisk, Path(source))
    elif isinstance(source, UploadStream):
        found = await _started(source)
    else:
        found = await _opened(source)
    # The content comes first: the type of an extension depends on the machine; on Debian, the videos of
    # camcorders (.mts) are 3D models.
    if media_type := type_of_media(found.head):
        found.media_type = media_type
    elif _reads_files_no_more():
        found.find_media_type()
    else:
        await in_thread_unless_cancelled(found.find_media_type)
    return found


def _reads_files_no_more() -> bool:
    """Check whether the MIME type tables are loaded; a look-up is then faster than a call to a thread."""
    return mimetypes.inited and "puremagic" in sys.modules


async def _started(stream: UploadStream) -> Source:
    source = _Stream(stream)
    await source.start()
    return source


async def _opened(file: BinaryFile) -> Source:
    if iscoroutinefunction(getattr(file, "read", None)):
        raise InvalidParameterError(
            f"{_name_of(file)}: asynchronous files are not supported; pass its path, or an UploadStream of "
            "its chunks"
        )
    try:
        seekable = await in_thread_unless_cancelled(file.seekable)
    except (AttributeError, ValueError) as exc:
        raise InvalidParameterError(f"{file!r:.80} is not an open binary file: {exc}") from exc
    if isinstance(file, io.TextIOBase):
        raise InvalidParameterError(f"{_name_of(file)}: opened as text; open it with mode 'rb'")
    if seekable:
        return await in_thread_unless_cancelled(_OpenFile, file)
    return await _started(UploadStream(_read_in_blocks(file), _name_of(file)))


class _Bytes(Source):
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = _checked_size(self.name, len(content))
        self.head = content[:_HEAD_SIZE]

    @override
    async def blocks(self) -> AsyncGenerator[bytes]:
        for start in range(0, len(self._content), CHUNK_SIZE):
            yield self._content[start : start + CHUNK_SIZE]


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    """Properties that change when the file changes."""

    size: int
    modified: int
    identity: tuple[int, int]

    @classmethod
    def of(cls, file: BinaryFile) -> _Fingerprint | None:
        """Read the properties of an open file; None for an object that has no file descriptor."""
        try:
            state = os.fstat(cast("BinaryIO", file).fileno())
        except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
            return None
        return cls(state.st_size, state.st_mtime_ns, (state.st_dev, state.st_ino))


class _SeekableFile(Source):
    """A file of known size; reading it detects changes of the file."""

    _fingerprint: _Fingerprint | None

    # Closed after its last byte is read, or by `close`, if the reader stops before that.
    _held: BinaryIO | None = None

    @abstractmethod
    def _open(self) -> BinaryFile:
        """Open the file, or rewind it; a file that is opened here is kept in ``_held``."""

    @override
    async def blocks(self) -> AsyncGenerator[bytes]:
        left, reading = self.size or 0, None
        await self.close()
        while left:
            with _reading(self.name):
                reading, block = await in_thread_unless_cancelled(self._read, reading, left)
            left -= len(block)
            yield block

    def _read(self, reading: BinaryFile | None, left: int) -> tuple[BinaryFile, bytes]:
        """Read the next block of an open file; open it first, check and close it at the end."""
        # All of this is one call, since most files are a single block: a separate call in a thread costs more
        # CPU time than reading it.
        file = self._open() if reading is None else reading
        block = file.read(min(CHUNK_SIZE, left))
        if len(block) == left or not block:
            self._check_unchanged(file, left - len(block))
            held, self._held = self._held, None
            if held is not None:
                held.close()
        return file, block

    @override
    async def close(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            # Not in the loop's pool, where this would wait for all earlier calls: the job waits for it.
            await in_own_thread(held.close)

    def _check_unchanged(self, file: BinaryFile, missing: int) -> None:
        if missing or _Fingerprint.of(file) != self._fingerprint:
            raise InvalidParameterError(
                f"{self.name}: the file changed during the upload; submit it again when it is complete"
            )


class _FileOnDisk(_SeekableFile):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = base_name(path.name)
        try:
            self._check_kind(path.stat().st_mode)
            with path.open("rb") as file:
                self._fingerprint = _Fingerprint.of(file)
                self.head = file.read(_HEAD_SIZE)
                self.size = _checked_size(self.name, file.seek(0, io.SEEK_END))
        except InvalidParameterError:
            raise
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
            raise InvalidParameterError(f"{str(path)!r} cannot be read: {reason}") from exc

    def _check_kind(self, mode: int) -> None:
        if stat.S_ISDIR(mode):
            raise InvalidParameterError(f"{str(self._path)!r} is a folder; pass a file in it")
        if not stat.S_ISREG(mode):
            raise InvalidParameterError(
                f"{str(self._path)!r} is not a regular file; open it, and pass the open file"
            )

    @override
    def _open(self) -> BinaryFile:
        try:
            file = self._held = self._path.open("rb", buffering=0)
        except OSError as exc:
            raise InvalidParameterError(
                f"{str(self._path)!r} can no longer be read: {exc.strerror or exc}"
            ) from exc
        self._check_unchanged(file, 0)
        return file


class _OpenFile(_SeekableFile):
    def __init__(self, file: BinaryFile) -> None:
        self._file = file
        self.name = _name_of(file)
        self._fingerprint = _Fingerprint.of(file)
        try:
            self._start = file.tell()
            self.size = _checked_size(self.name, file.seek(0, io.SEEK_END) - self._start)
            file.seek(self._start)
            self.head = file.read(_HEAD_SIZE)
            file.seek(self._start)
        except OSError as exc:
            raise InvalidParameterError(f"{self.name}: the open file cannot be read: {exc}") from exc
        if not isinstance(cast("object", self.head), bytes):
            raise InvalidParameterError(f"{self.name}: opened as text; open it with mode 'rb'")

    @override
    def _open(self) -> BinaryFile:
        self._file.seek(self._start)
        return self._file


class _Stream(Source):
    """A stream of chunks; the first one is read immediately, to check that the stream is not empty."""

    def __init__(self, stream: UploadStream) -> None:
        self._make = stream.chunks
        self.name = base_name(stream.name)
        self.size = None if stream.size is None else _checked_size(self.name, stream.size)
        self._chunks: AsyncIterator[bytes] | None = None
        self._begun = False

    async def start(self) -> None:
        """Read the first chunk; an `InvalidParameterError` is raised if there is none."""
        made = self._make() if callable(self._make) else self._make
        if not isinstance(cast("object", made), AsyncIterable):
            raise InvalidParameterError(
                f"{self.name}: the chunks are {type(made).__name__}, not an async iterable; yield them from "
                "an `async def` function"
            )
        self._chunks = aiter(made)
        self.head = await self._next()
        if not self.head:
            raise _empty(self.name)

    @override
    async def blocks(self) -> AsyncGenerator[bytes]:
        if self._begun:
            if not callable(self._make):
                raise UploadNotRepeatableError(self.name)
            await self.close()
            await self.start()
        self._begun = True
        chunk, sent = self.head, 0
        while chunk:
            sent += len(chunk)
            if self.size is not None and sent > self.size:
                break
            yield chunk
            chunk = await self._next()
        if self.size not in {None, sent}:
            raise InvalidParameterError(
                f"{self.name}: the declared size is {self.size} bytes, but the stream has "
                f"{'more' if chunk else f'only {sent}'}"
            )

    async def _next(self) -> bytes:
        """Read the next chunk that is not empty; return an empty one at the end."""
        assert self._chunks is not None  # noqa: S101 - set by `start`
        async for chunk in self._chunks:
            if not isinstance(cast("object", chunk), bytes | bytearray | memoryview):
                raise InvalidParameterError(f"{self.name}: a chunk is {type(chunk).__name__}, not bytes")
            if chunk:
                return bytes(chunk)
        return b""

    @override
    async def close(self) -> None:
        chunks, self._chunks = self._chunks, None
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


async def _read_in_blocks(file: BinaryFile) -> AsyncGenerator[bytes]:
    """Read a pipe or a socket, which may block at any time."""
    given_up = threading.Event()
    try:
        while True:
            with _reading(_name_of(file)):
                block = await in_own_thread(_read_when_there, file, given_up)
            if not block:
                return
            yield block
    finally:
        given_up.set()


def _read_when_there(file: BinaryFile, given_up: threading.Event) -> bytes:
    """Read the available data; return nothing after the reader was abandoned."""
    # A thread inside `read` holds the file's lock, so that nobody else can close the file. So this waits for
    # data first, but only on a plain descriptor: other objects may have buffered some of the data.
    raw = cast("object", file.raw) if isinstance(file, io.BufferedReader) else None
    if not (isinstance(raw, io.FileIO) and hasattr(select, "poll")):
        return file.read(CHUNK_SIZE)
    poll = select.poll()
    poll.register(raw, select.POLLIN)
    while not given_up.is_set():
        if poll.poll(_POLL_MS):
            return cast("io.BufferedReader", file).read1(CHUNK_SIZE)
    return b""


@contextlib.contextmanager
def _reading(name: str) -> Generator[None]:
    """Convert errors of a file that was readable when it was opened."""
    try:
        yield
    except InvalidParameterError:
        raise
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        raise InvalidParameterError(f"{name}: the file can no longer be read: {reason}") from exc


def _name_of(file: object) -> str:
    name = cast("object", getattr(file, "name", None))
    return base_name(name) if isinstance(name, str) else "file"


def _checked_size(name: str, size: int) -> int:
    if size <= 0:
        raise _empty(name)
    return size


def _empty(name: str) -> InvalidParameterError:
    return InvalidParameterError(f"{name}: the file is empty, there is nothing to process")
