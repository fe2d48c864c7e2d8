"""Downloads: to a file that is whole or not there at all, into memory, or as a stream of chunks."""

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

DEFAULT_MAX_BYTES: Final = 64 * 1024**2
"""That a file read into memory may have."""
_WRITE_SECONDS: Final = 0.25
"""What comes slowly is written, and told, that often."""
_OK: Final = 200
_PARTIAL_CONTENT: Final = 206
RANGE_NOT_SATISFIABLE: Final = 416
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")
"""RFC 9110, 14.4."""
PLAIN: Final = {"Accept-Encoding": "identity"}
"""Bytes as they are: a compressed body has no length that could be checked, and no ranges of the file."""


class Download:
    """One file on its way to its place; may be tried several times, each of which continues the last one.

    Args:
        partial: Where it is kept meanwhile.
        name: What it is called in errors.
        on_progress: Called with the bytes done and the total, None where the server does not say it.
    """

    def __init__(self, partial: PartialFile, name: str, on_progress: ByteProgress | None = None) -> None:
        self._partial = partial
        self._name = name
        self._on_progress = on_progress

    async def attempt(
        self, request: Callable[[dict[str, str]], AbstractAsyncContextManager[httpx.Response]]
    ) -> None:
        """Ask for what is missing, and take it.

        Args:
            request: Makes a request with these headers; its context is open as long as the body is read.

        Raises:
            InvalidResponseError: The answer is not the file, or not as long as announced.
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
        """Whether a partial answer begins where this file ends, and is of the same version."""
        found = _content_range(response)
        return (
            response.status_code == _PARTIAL_CONTENT
            and found is not None
            and int(found[1]) == self._partial.done
            and self._partial.continues(version_of(response))
        )

    async def take(self, response: httpx.Response) -> None:
        """Take the body of an answer, or what of it is missing."""
        reader, total = BodyReader(self._name, response), _whole_size(response)
        if response.status_code != _PARTIAL_CONTENT:
            await in_thread(self._partial.start, version_of(response))
        report = Reporter(self._on_progress, total)
        async with contextlib.aclosing(_blocks(reader)) as blocks:
            async for block in blocks:
                await in_thread(self._partial.write, block)
                report(self._partial.done)
        if total not in {None, self._partial.done}:
            raise InvalidResponseError(
                f"{self._name}: the server announced {total} bytes and sent {self._partial.done}"
            )


@contextlib.asynccontextmanager
async def kept_in_part(target: Path, identity: str | None = None) -> AsyncGenerator[PartialFile]:
    """A partial file for as long as the context is open; arguments as for `PartialFile`."""
    partial = PartialFile(target, identity)
    try:
        await in_thread(partial.find)
        yield partial
    finally:
        await in_thread(partial.close)


class JobFileStream:
    """A file of a job as it comes: ``async for chunk in stream``, once.

    Attributes:
        path: Its path below the job.
        size: Its bytes, None where the server does not say it.
    """

    def __init__(self, path: str, response: httpx.Response) -> None:
        self.path = path
        self._reader = BodyReader(path, response, CHUNK_SIZE)
        self.size = self._reader.announced

    @property
    def received(self) -> int:
        """How many bytes have come."""
        return self._reader.received

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next chunk, of at most 1 MiB.

        Raises:
            InvalidResponseError: The file ended before its announced length, or is compressed and not whole.
            ServerUnavailableError: The connection broke.
            ClientClosedError: The client was closed meanwhile.
        """
        return await anext(self._reader)

    async def aclose(self) -> None:
        """End it, also before its end."""
        await self._reader.aclose()


async def save_response(
    response: httpx.Response, target: Path, on_progress: ByteProgress | None = None
) -> Path:
    """Write a body to a file, which then is whole, or holds what it held before.

    Raises:
        InvalidResponseError: The body is not as long as announced, or is compressed and not whole.
        FileWriteError: It cannot be written there.
    """
    async with kept_in_part(target) as partial:
        await Download(partial, target.name, on_progress).take(response)
        await in_thread(partial.finish, overwrite=True)
    return target


async def _blocks(reader: BodyReader) -> AsyncGenerator[bytes]:
    """The body in pieces worth a call to a thread; what came before a break is not lost."""
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
    """See to it that the answer to a request for a whole file is that, and not a part, a promise, or nothing.

    Raises:
        InvalidResponseError: It is something else.
    """
    if response.status_code != _OK:
        status = f"{response.status_code} {response.reason_phrase}".strip()
        raise InvalidResponseError(f"{name}: the server answered {status} in place of the file")


def version_of(response: httpx.Response) -> str | None:
    """What tells one version of a file from another; None where the server gives nothing reliable.

    A weak ETag does not promise the same bytes (RFC 9110, 8.8.1).
    """
    tag = cast("str | None", response.headers.get("ETag"))
    if tag is None or tag.startswith("W/"):
        tag = cast("str | None", response.headers.get("Last-Modified"))
    size = _whole_size(response)
    return None if tag is None or size is None else f"{tag} {size}"


def _content_range(response: httpx.Response) -> re.Match[str] | None:
    return _CONTENT_RANGE.fullmatch(cast("str", response.headers.get("Content-Range", "")))


def _whole_size(response: httpx.Response) -> int | None:
    """Bytes of the whole file, also where the answer is a part of it."""
    found = _content_range(response) if response.status_code == _PARTIAL_CONTENT else None
    return int(found[2]) if found is not None else announced_size(response)
