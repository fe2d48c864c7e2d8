"""Downloads: to a file that is either complete or missing, into memory, or as a stream of chunks."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Final, cast

import httpx

from cl_client._core.threads import in_thread
from cl_client._errors import ClientClosedError, InvalidResponseError
from cl_client._transfers.body import BodyReader, announced_size
from cl_client._transfers.partial_file import PartialFile
from cl_client._transfers.progress import Reporter
from cl_client._transfers.sources import CHUNK_SIZE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Self

    from cl_client.options import ByteProgress

_WRITE_SECONDS: Final = 0.25
"""Maximum seconds between two writes and progress reports of a slow download."""
_OK: Final = 200
_PARTIAL_CONTENT: Final = 206
RANGE_NOT_SATISFIABLE: Final = 416
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")
"""Header value as in RFC 9110, 14.4."""
PLAIN: Final = {"Accept-Encoding": "identity"}
"""Asks for an uncompressed body: the length of a compressed one cannot be checked, nor resumed by range."""


class Download:
    """The download of a file; each further attempt continues the previous one.

    Args:
        partial: Partial file that receives the data.
        name: Name of the file in errors.
        on_progress: Called with the number of bytes done and the total, which is None if unknown.
    """

    def __init__(self, partial: PartialFile, name: str, on_progress: ByteProgress | None = None) -> None:
        self._partial = partial
        self._name = name
        self._on_progress = on_progress
        self._anew = True
        self._version: str | None = None
        self._held = b""

    @property
    def done(self) -> int:
        """Number of bytes received."""
        return (0 if self._anew else self._partial.done) + len(self._held)

    async def attempt(
        self, request: Callable[[dict[str, str]], AbstractAsyncContextManager[httpx.Response]]
    ) -> None:
        """Download the missing part of the file.

        Args:
            request: Sends a request with the given headers; its context stays open while the body is read.

        Raises:
            InvalidResponseError: The response is not the file, or is incomplete.
        """
        partial = self._partial
        if partial.done and partial.version is not None:
            async with request({**PLAIN, "Range": f"bytes={partial.done}-"}) as response:
                if response.status_code == _OK or self._fits(response):
                    await self.take(response)
                    return
        async with request(PLAIN) as response:
            check_whole(self._name, response)
            await self.take(response)

    def _fits(self, response: httpx.Response) -> bool:
        """Check whether a partial response starts where the file ends, and is of the same version."""
        found = _content_range(response)
        return (
            response.status_code == _PARTIAL_CONTENT
            and found is not None
            and int(found[1]) == self._partial.done
            and self._partial.continues(version_of(response))
        )

    async def take(self, response: httpx.Response) -> None:
        """Write the body of a response to the partial file; `finish` writes one of a single block.

        Args:
            response: A response with the whole file, or with the missing part of it (206).

        Raises:
            InvalidResponseError: The body is incomplete.
        """
        reader, total = BodyReader(self._name, response), _whole_size(response)
        self._anew, self._version = response.status_code != _PARTIAL_CONTENT, version_of(response)
        self._held = b""
        report = Reporter(self._on_progress, total)
        async with contextlib.aclosing(_blocks(reader)) as blocks:
            async for block in blocks:
                if self._held:  # more than the server announced
                    await in_thread(self._write)
                self._held = block
                # A file of one block is written by `finish`: a separate call in a thread costs more CPU time
                # than writing it.
                if not self._anew or len(block) != total:
                    await in_thread(self._write)
                report(self.done)
        if total not in {None, self.done}:
            raise InvalidResponseError(
                f"{self._name}: incomplete, the server announced {total} bytes and sent {self.done}"
            )

    def finish(self, *, overwrite: bool) -> None:
        """Move the complete file to its destination, after flushing it to the disk. Blocks.

        Args:
            overwrite: Whether an existing file may be replaced.

        Raises:
            DestinationExistsError: A file exists there, and ``overwrite`` is False.
            FileWriteError: The file cannot be written.
        """
        self._write()
        self._partial.finish(overwrite=overwrite)

    def _write(self) -> None:
        """Write the last block that was received. Blocks."""
        if self._anew:
            self._partial.start(self._version)
            self._anew = False
        block, self._held = self._held, b""
        self._partial.write(block)


@contextlib.asynccontextmanager
async def kept_in_part(target: Path, identity: str | None = None) -> AsyncGenerator[PartialFile]:
    """Open a partial file, and close it at the end of the context.

    Args:
        target: Destination of the download.
        identity: What is downloaded, if a later download may continue it; see `PartialFile`.

    Yields:
        The partial file, with the data of an earlier download if there is any.
    """
    partial = PartialFile(target, identity)
    try:
        if identity is not None:
            await in_thread(partial.find)
        yield partial
    finally:
        if partial.is_open:
            await in_thread(partial.close)


class JobFileStream:
    """A file of a job as a stream: ``async for chunk in stream``. It can be read once.

    Attributes:
        path: Path of the file inside the job.
        size: Size in bytes; None if the server does not announce it.
    """

    def __init__(self, path: str, response: httpx.Response) -> None:
        self.path = path
        self._reader = BodyReader(path, response, CHUNK_SIZE)
        self.size = self._reader.announced

    @property
    def received(self) -> int:
        """Number of bytes received so far."""
        return self._reader.received

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Read the next chunk.

        Returns:
            At most 1 MiB.

        Raises:
            InvalidResponseError: The file is incomplete, or cannot be decoded.
            ServerUnavailableError: The connection was lost.
            ClientClosedError: The client was closed meanwhile.
        """
        return await anext(self._reader)

    async def aclose(self) -> None:
        """Close the stream, even if it was not read to its end."""
        await self._reader.aclose()


async def save_response(
    response: httpx.Response, target: Path, on_progress: ByteProgress | None = None
) -> Path:
    """Write the body of a response to a file. If that fails, the file is unchanged.

    Args:
        response: Response whose body was not read yet.
        target: The file; an existing one is replaced.
        on_progress: Called with the number of bytes done and the total, which is None if unknown.

    Returns:
        ``target``.

    Raises:
        InvalidResponseError: The body is incomplete, or cannot be decoded.
        FileWriteError: The file cannot be written.
    """
    async with kept_in_part(target) as partial:
        download = Download(partial, target.name, on_progress)
        await download.take(response)
        await in_thread(download.finish, overwrite=True)
    return target


async def _blocks(reader: BodyReader) -> AsyncGenerator[bytes]:
    """Read the body in blocks large enough for a call to a thread; data before a lost connection is kept."""
    block = bytearray()
    begun = time.monotonic()
    try:
        async for piece in reader:
            block += piece
            if len(block) >= CHUNK_SIZE or time.monotonic() - begun > _WRITE_SECONDS:
                yield bytes(block)
                block.clear()
                begun = time.monotonic()
    except (httpx.TransportError, ClientClosedError):
        if block:
            yield bytes(block)
        raise
    finally:
        await reader.aclose()
    if block:
        yield bytes(block)


def check_whole(name: str, response: httpx.Response) -> None:
    """Check that a response has the status 200, as opposed to 202, 204 or 206.

    Args:
        name: Name of the file in the error.
        response: Response to a request for a whole file.

    Raises:
        InvalidResponseError: The status is a different one.
    """
    if response.status_code != _OK:
        status = f"{response.status_code} {response.reason_phrase}".strip()
        raise InvalidResponseError(f"{name}: the server answered {status} instead of the file")


def version_of(response: httpx.Response) -> str | None:
    """Get an identifier of the version of a file.

    Args:
        response: Response with the file, or with a part of it.

    Returns:
        Strong ETag or Last-Modified, with the size; None without these. A weak ETag does not guarantee the
        same bytes (RFC 9110, 8.8.1).
    """
    tag = cast("str | None", response.headers.get("ETag"))
    if tag is None or tag.startswith("W/"):
        tag = cast("str | None", response.headers.get("Last-Modified"))
    size = _whole_size(response)
    return None if tag is None or size is None else f"{tag} {size}"


def _content_range(response: httpx.Response) -> re.Match[str] | None:
    return _CONTENT_RANGE.fullmatch(cast("str", response.headers.get("Content-Range", "")))


def _whole_size(response: httpx.Response) -> int | None:
    """Get the size of the whole file, even if the response is only a part of it."""
    found = _content_range(response) if response.status_code == _PARTIAL_CONTENT else None
    return int(found[2]) if found is not None else announced_size(response)
