"""The body of an answer as it is read: decoded, checked, and no more of it in memory than was asked for."""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, Final, cast

import httpx

from cl_client._errors import ClientClosedError, InvalidResponseError
from cl_client._transfers.sources import CHUNK_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

DECODABLE: Final = "gzip, deflate"
TOLD: Final = "cl_client.told"
"""Where an answer's extensions may have what makes an error of this library of one of httpx."""
_CODINGS: Final = {"gzip": 31, "deflate": 15}
"""And what tells zlib so."""
_RAW_DEFLATE: Final = -15
"""Without zlib's frame, as some servers send it (RFC 9110, 8.4.1.2)."""
_PLAIN: Final = frozenset({"", "identity"})
_MOST_CODINGS: Final = 2


class BodyReader:
    """Reads a body once: ``async for block in reader``.

    httpx's own way is a nest of generators, of which only the outermost can be closed; and it decodes what
    comes at once, however long that gets.

    Args:
        name: What it is called in errors.
        response: The answer, of which nothing was read yet.
        block_size: Bytes of each block but the last; None for blocks as they come, of at most 1 MiB.

    Attributes:
        announced: Bytes that it should have, None where the server does not say it.
        received: Bytes that have come.

    Raises:
        InvalidResponseError: It is encoded in a way that was not asked for. Also while reading: it cannot be
            decoded; or it has ended, and is not whole.
    """

    def __init__(self, name: str, response: httpx.Response, block_size: int | None = None) -> None:
        self._name = name
        self._stages = _stages(name, response) if "Content-Encoding" in response.headers else []
        self.announced = announced_size(response)
        self.received = 0
        self._response = response
        self._raw = aiter(cast("httpx.AsyncByteStream", response.stream))
        self._blocks: Iterator[bytes] = iter(())
        self._least = 1 if block_size is None else block_size
        self._most = block_size or CHUNK_SIZE
        # Not in a variable: it may be a token, and variables of the frames of an error may be shown.
        self._gathered = bytearray()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while len(self._gathered) < self._least and await self._gather():
            pass
        if not self._gathered:
            self._check_whole()
            raise StopAsyncIteration
        block = bytes(self._gathered[: self._most])
        del self._gathered[: self._most]
        self.received += len(block)
        return block

    async def read(self, max_bytes: int) -> bytes:
        """All of it.

        Raises:
            InvalidResponseError: It is longer than ``max_bytes``, not whole, or cannot be decoded.
        """
        try:
            while max(self.announced or 0, len(self._gathered)) <= max_bytes:
                if not await self._gather():
                    self.received = len(self._gathered)
                    self._check_whole()
                    return bytes(self._gathered)
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        raise InvalidResponseError(
            f"{self._name}: longer than the limit of {max_bytes} bytes; raise the limit, or download it to a "
            "file"
        )

    async def _gather(self) -> bool:
        """Take the next block; False at the end."""
        while True:
            try:
                block = next(self._blocks, b"")
            except zlib.error as exc:
                path = self._response.request.url.path
                raise InvalidResponseError(f"{path}: the body cannot be decoded: {exc}") from exc
            if block:
                self._gathered += block
                return True
            try:
                raw = await anext(self._raw, None)
            except httpx.HTTPError as exc:
                told = cast("Callable[[Exception], Exception] | None", self._response.extensions.get(TOLD))
                error = exc if told is None else told(exc)
                if error is exc:
                    raise
                raise error from exc
            if raw is None:
                return False
            if not self._stages:
                self._gathered += raw
                return True
            blocks: Iterable[bytes] = (raw,)
            for stage in self._stages:
                blocks = stage.decoded(blocks)
            self._blocks = iter(blocks)
            del raw, blocks

    def _check_whole(self) -> None:
        if self.announced not in {None, self.received}:
            raise InvalidResponseError(
                f"{self._name}: the server announced {self.announced} bytes and sent {self.received}"
            )
        if self._response.headers.get("Content-Length") == "0":  # an empty file, which nobody has compressed
            return
        if self._stages and not all(stage.is_whole for stage in self._stages):
            raise InvalidResponseError(
                f"{self._name}: the server sent it compressed, and that is not whole or not all"
            )

    async def aclose(self) -> None:
        """End it, also before its end."""
        await self._response.aclose()
        # Generators of httpx end when they are read on, with the connection closed.
        with contextlib.suppress(httpx.StreamError, httpx.TransportError, ClientClosedError):
            async for _ in self._raw:
                pass


class _Stage:
    """Takes one coding off."""

    def __init__(self, coding: str) -> None:
        self._decompressor = zlib.decompressobj(_CODINGS[coding])
        self._may_be_raw = coding == "deflate"

    @property
    def is_whole(self) -> bool:
        return self._decompressor.eof and not self._decompressor.unused_data

    def decoded(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """What comes of these, in blocks of at most 1 MiB."""
        for block in blocks:
            left, full = block, False
            while left or full:
                decoded = self._decompressed(left)
                left, full = self._decompressor.unconsumed_tail, len(decoded) == CHUNK_SIZE
                if decoded:
                    yield decoded
            if self._decompressor.unused_data:
                return  # a second one that follows the first; it is told at the end

    def _decompressed(self, block: bytes) -> bytes:
        try:
            return self._decompressor.decompress(block, CHUNK_SIZE)
        except zlib.error:
            if not self._may_be_raw:
                raise
            self._decompressor = zlib.decompressobj(_RAW_DEFLATE)
            return self._decompressor.decompress(block, CHUNK_SIZE)
        finally:
            self._may_be_raw = False


def _stages(name: str, response: httpx.Response) -> list[_Stage]:
    encodings = cast("str", response.headers.get("Content-Encoding", ""))
    codings = [coding for part in encodings.split(",") if (coding := part.strip().lower()) not in _PLAIN]
    if len(codings) > _MOST_CODINGS or not _CODINGS.keys() >= set(codings):
        raise InvalidResponseError(
            f"{name}: the server sent it encoded as {encodings[:40]!r}, which was not asked for"
        )
    return [_Stage(coding) for coding in reversed(codings)]


def announced_size(response: httpx.Response) -> int | None:
    """Bytes of the decoded body, where the server says so."""
    announced = cast("str | None", response.headers.get("Content-Length"))
    encoded = response.headers.get("Content-Encoding") is not None
    return int(announced) if announced is not None and announced.isdecimal() and not encoded else None
