"""Files on their way: streamed multipart uploads, and downloads that are whole or not there at all."""

from __future__ import annotations

import contextlib
import io
import mimetypes
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

import httpx
from typing_extensions import override

from cl_client.exceptions import InvalidParameterError, InvalidResponseError
from cl_client.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

FileSource: TypeAlias = Path | str | bytes | BinaryIO
"""A path, the bytes themselves, or an open binary file (read from where it stands, left open)."""

ByteProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes done so far and the total, None where the server did not say it."""

CHUNK_SIZE = 1 << 20
_NAME_LIMIT = 200


def base_name(name: str, fallback: str = "file") -> str:
    """The last part of a path of either operating system, without control characters.

    Servers join the name to a folder unchecked, so anything else would escape from it.
    """
    last = PureWindowsPath(PurePosixPath(name).name).name
    cleaned = "".join(character for character in last if character.isprintable()).strip(" .") or fallback
    suffix = PurePosixPath(cleaned).suffix
    return cleaned if len(cleaned) <= _NAME_LIMIT else cleaned[: _NAME_LIMIT - len(suffix)] + suffix


class MultipartUpload(httpx.AsyncByteStream):
    """One file and some form fields as ``multipart/form-data`` (RFC 7578).

    The file is read in a thread, block by block. The stream can be sent again: every iteration starts over.
    """

    def __init__(self, fields: Mapping[str, str], source: FileSource, filename: str | None = None) -> None:
        """Look at the file.

        Raises:
            InvalidParameterError: It is missing, a folder, not readable, empty, or not a binary file.
        """
        self._source: bytes | Path | BinaryIO = Path(source) if isinstance(source, str) else source
        name, self._offset, self._size = _describe(self._source)
        self.filename = base_name(filename or name)
        if self._size == 0:
            raise InvalidParameterError(f"{self.filename}: the file is empty, there is nothing to process")
        boundary = secrets.token_hex(16)
        kind = mimetypes.guess_type(self.filename)[0] or "application/octet-stream"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        ]
        parts.append(
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="file"; filename="{_quoted(self.filename)}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        )
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + self._size + len(self._tail)),
        }

    @classmethod
    async def open(cls, fields: Mapping[str, str], source: FileSource) -> MultipartUpload:
        """Make one without blocking the loop: looking at a file can take long on a network drive."""
        if isinstance(source, bytes):
            return cls(fields, source)
        return await in_thread(cls, fields, source)

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        if isinstance(self._source, bytes):
            yield self._source
        else:
            async with contextlib.aclosing(self._file_blocks()) as blocks:
                async for block in blocks:
                    yield block
        yield self._tail

    async def _file_blocks(self) -> AsyncGenerator[bytes]:
        """Exactly the announced number of bytes, or an error that says that the file changed."""
        left = self._size
        with contextlib.ExitStack() as stack:
            file = await in_thread(self._open_file, stack)
            while left:
                block = await in_thread(file.read, min(CHUNK_SIZE, left))
                if not block:
                    raise InvalidParameterError(f"{self.filename}: the file shrank while it was sent")
                left -= len(block)
                yield block

    def _open_file(self, stack: contextlib.ExitStack) -> BinaryIO:
        """The file at its beginning; one that is opened here is closed with the stack."""
        if isinstance(self._source, Path):
            return stack.enter_context(self._source.open("rb"))
        file = cast("BinaryIO", self._source)
        file.seek(self._offset)
        return file


def _describe(source: bytes | Path | BinaryIO) -> tuple[str, int, int]:
    """Name, start and size of what is to be sent."""
    if isinstance(source, bytes):
        return "file", 0, len(source)
    if isinstance(source, Path):
        if source.is_dir():
            raise InvalidParameterError(f"{source}: this is a folder; name a file")
        try:
            with source.open("rb") as file:
                return source.name, 0, os.fstat(file.fileno()).st_size
        except OSError as exc:
            raise InvalidParameterError(f"{source}: cannot be read: {exc.strerror or exc}") from exc
    try:
        start = source.tell()
        end = source.seek(0, io.SEEK_END)
        source.seek(start)
    except (AttributeError, OSError) as exc:
        raise InvalidParameterError("An open file must be binary and seekable; else give its bytes") from exc
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "file", start, end - start


def _quoted(text: str) -> str:
    """As browsers quote names in form data (HTML standard, multipart/form-data encoding)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


async def save_response(
    response: httpx.Response, target: Path, on_progress: ByteProgress | None = None
) -> Path:
    """Write a body to a file: into a temporary neighbour first, renamed when it is whole.

    Raises:
        InvalidResponseError: The body ended before its announced length.
    """
    total = _announced_size(response)
    done = 0
    with contextlib.ExitStack() as stack:
        file, partial = await in_thread(_open_partial, target, stack)
        async for block in response.aiter_bytes(CHUNK_SIZE):
            await in_thread(file.write, block)
            done += len(block)
            if on_progress is not None:
                on_progress(done, total)
        _check_size(target.name, total, done)
        await in_thread(_finish, file, partial, target)
    return target


def _open_partial(target: Path, stack: contextlib.ExitStack) -> tuple[BinaryIO, Path]:
    """A new file beside the target; what is left of it goes with the stack."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{base_name(target.name)[:100]}.{secrets.token_hex(4)}.part")
    file = partial.open("xb")
    stack.callback(partial.unlink, missing_ok=True)
    return stack.enter_context(file), partial


async def read_response(response: httpx.Response, name: str, max_bytes: int) -> bytes:
    """Read a body into memory.

    Raises:
        InvalidResponseError: It is longer than ``max_bytes``, or ended before its announced length.
    """
    total = _announced_size(response)
    content = bytearray()
    if total is None or total <= max_bytes:
        async for block in response.aiter_bytes(CHUNK_SIZE):
            content += block
            if len(content) > max_bytes:
                break
        else:
            _check_size(name, total, len(content))
            return bytes(content)
    raise InvalidResponseError(
        f"{name}: longer than the limit of {max_bytes} bytes; raise max_bytes, or download it to a file"
    )


def _announced_size(response: httpx.Response) -> int | None:
    """Bytes of the decoded body, where the server says so."""
    announced = cast("str | None", response.headers.get("Content-Length"))
    encoded = response.headers.get("Content-Encoding") is not None
    return int(announced) if announced is not None and announced.isdigit() and not encoded else None


def _check_size(name: str, announced: int | None, received: int) -> None:
    if announced is not None and received != announced:
        raise InvalidResponseError(f"{name}: the server announced {announced} bytes and sent {received}")


def _finish(file: BinaryIO, partial: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    partial.replace(target)
