"""Downloads: to a file that is whole or not there at all, into memory, or as a stream of chunks."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Final, cast

import httpx

from cl_client._core.threads import in_thread
from cl_client._errors import ClientClosedError, InvalidResponseError
from cl_client._transfers.partial_file import PartialFile
from cl_client._transfers.progress import Reporter
from cl_client._transfers.sources import CHUNK_SIZE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
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
_DECODABLE: Final = frozenset({"", "identity", "gzip", "deflate"})
"""What is decoded all the same where a server does not care what was asked for."""


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
                    _check_encoding(self._name, response)
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
        total = _whole_size(response)
        if response.status_code != _PARTIAL_CONTENT:
            await in_thread(self._partial.start, version_of(response))
        report = Reporter(self._on_progress, total)
        async with contextlib.aclosing(_blocks(response)) as blocks:
            async for block in blocks:
                await in_thread(self._partial.write, block)
                report(self._partial.done)
        check_size(self._name, total, self._partial.done)
        check_decoded(self._name, response)


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
        received: How many have come.
    """

    def __init__(self, path: str, response: httpx.Response) -> None:
        self.path = path
        self.size = announced_size(response)
        self.received = 0
        self._response = response
        self._chunks = _chunks(response, CHUNK_SIZE)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next chunk, of at most 1 MiB.

        Raises:
            InvalidResponseError: The file ended before its announced length, or is compressed and not whole.
            ServerUnavailableError: The connection broke.
            ClientClosedError: The client was closed meanwhile.
        """
        chunk = await anext(self._chunks, None)
        if chunk is None:
            check_size(self.path, self.size, self.received)
            check_decoded(self.path, self._response)
            raise StopAsyncIteration
        self.received += len(chunk)
        return chunk

    async def aclose(self) -> None:
        """End it, also before its end."""
        await _end(self._response, self._chunks)


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


async def _blocks(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The body in pieces worth a call to a thread; what came before a break is not lost."""
    block = bytearray()
    begun = time.monotonic()
    chunks = _chunks(response)
    try:
        async for chunk in chunks:
            block += chunk
            if len(block) >= CHUNK_SIZE or time.monotonic() - begun > _WRITE_SECONDS:
                yield bytes(block)
                block.clear()
                begun = time.monotonic()
    except (httpx.TransportError, ClientClosedError):
        if block:
            yield bytes(block)
        raise
    finally:
        await _end(response, chunks)
    if block:
        yield bytes(block)


async def _chunks(response: httpx.Response, size: int | None = None) -> AsyncGenerator[bytes]:
    try:
        async for chunk in response.aiter_bytes(size):
            yield chunk
    except httpx.DecodingError as exc:
        path = response.request.url.path
        raise InvalidResponseError(f"{path}: the body cannot be decoded: {exc}") from exc


async def _end(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    """Close a body that may not have been read to its end.

    httpx nests its generators, and closing the outermost leaves the others to asyncio, one after the other.
    With the connection closed, they end when they are read on.
    """
    await response.aclose()
    with contextlib.suppress(httpx.StreamError, httpx.TransportError, ClientClosedError):
        async for _ in chunks:
            pass


async def read_response(response: httpx.Response, name: str, max_bytes: int) -> bytes:
    """Read a body into memory.

    Raises:
        InvalidResponseError: It is longer than ``max_bytes``, or ended before its announced length.
    """
    total = announced_size(response)
    content = bytearray()
    chunks = _chunks(response, CHUNK_SIZE)
    try:
        while (total is None or total <= max_bytes) and len(content) <= max_bytes:
            chunk = await anext(chunks, None)
            if chunk is None:
                check_size(name, total, len(content))
                return bytes(content)
            content += chunk
    finally:
        await _end(response, chunks)
    raise InvalidResponseError(
        f"{name}: longer than the limit of {max_bytes} bytes; raise the limit, or download it to a file"
    )


def check_whole(name: str, response: httpx.Response) -> None:
    """See to it that the answer to a request for a whole file is that, and not a part, a promise, or nothing.

    Raises:
        InvalidResponseError: It is something else, or cannot be decoded.
    """
    if response.status_code != _OK:
        status = f"{response.status_code} {response.reason_phrase}".strip()
        raise InvalidResponseError(f"{name}: the server answered {status} in place of the file")
    _check_encoding(name, response)


def _check_encoding(name: str, response: httpx.Response) -> None:
    """Raise where httpx cannot decode a body: it gives it as it is, which would be taken for the file."""
    encodings = cast("str", response.headers.get("Content-Encoding", ""))
    if not {encoding.strip().lower() for encoding in encodings.split(",")} <= _DECODABLE:
        raise InvalidResponseError(
            f"{name}: the server sent it encoded as {encodings[:40]!r}, which was not asked for"
        )


def version_of(response: httpx.Response) -> str | None:
    """What tells one version of a file from another; None where the server gives nothing reliable.

    A weak ETag does not promise the same bytes (RFC 9110, 8.8.1).
    """
    tag = cast("str | None", response.headers.get("ETag"))
    if tag is None or tag.startswith("W/"):
        tag = cast("str | None", response.headers.get("Last-Modified"))
    size = _whole_size(response)
    return None if tag is None or size is None else f"{tag} {size}"


def announced_size(response: httpx.Response) -> int | None:
    """Bytes of the decoded body, where the server says so."""
    announced = cast("str | None", response.headers.get("Content-Length"))
    encoded = response.headers.get("Content-Encoding") is not None
    return int(announced) if announced is not None and announced.isdecimal() and not encoded else None


def _content_range(response: httpx.Response) -> re.Match[str] | None:
    return _CONTENT_RANGE.fullmatch(cast("str", response.headers.get("Content-Range", "")))


def _whole_size(response: httpx.Response) -> int | None:
    """Bytes of the whole file, also where the answer is a part of it."""
    found = _content_range(response) if response.status_code == _PARTIAL_CONTENT else None
    return int(found[2]) if found is not None else announced_size(response)


def check_size(name: str, announced: int | None, received: int) -> None:
    """Raise unless all that was announced has come."""
    if announced is not None and received != announced:
        raise InvalidResponseError(f"{name}: the server announced {announced} bytes and sent {received}")


def check_decoded(name: str, response: httpx.Response) -> None:
    """Raise unless a compressed body that was read has come to its own end, and to that of the answer.

    httpx takes one that is cut for whole, and drops a second one that follows the first.
    """
    if response.headers.get("Content-Length") == "0":  # an empty file, which nobody has compressed
        return
    decoder = cast("object", getattr(response, "_decoder", None))  # httpx shows its decoder in no other way
    for one in cast("Iterable[object]", getattr(decoder, "children", (decoder,))):
        decompressor = cast("object", getattr(one, "decompressor", None))
        if not getattr(decompressor, "eof", True) or getattr(decompressor, "unused_data", b""):
            raise InvalidResponseError(
                f"{name}: the server sent it compressed, and that is not whole or not all"
            )
