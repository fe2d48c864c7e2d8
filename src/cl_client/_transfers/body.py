"""Reads the body of a response: decoded, checked, and with bounded memory."""

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
"""Key in a response's extensions for the function that converts httpx errors to those of this library."""
_CODINGS: Final = {"gzip": 31, "deflate": 15}
"""Content codings, and zlib's ``wbits`` for each."""
_RAW_DEFLATE: Final = -15
"""zlib's ``wbits`` for deflate without zlib's header, as some servers send it (RFC 9110, 8.4.1.2)."""
_PLAIN: Final = frozenset({"", "identity"})
_MOST_CODINGS: Final = 2


class BodyReader:
    """Reads a body once: ``async for block in reader``.

    httpx itself uses nested generators, of which only the outermost can be closed, and it decodes each
    received block at once, without a limit of the decoded size.

    Args:
        name: Name of the body in errors.
        response: Response whose body was not read yet.
        block_size: Bytes of each block except the last; None for blocks as they arrive, of at most 1 MiB.

    Attributes:
        announced: Size in bytes that the server announced; None if it did not.
        received: Number of bytes read so far.

    Raises:
        InvalidResponseError: The body has an unsupported encoding. Also while reading: the body cannot be
            decoded, or is incomplete.
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
        # Not in a local variable: it may be a token, and error reports may show local variables.
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
        """Read the whole body into memory.

        Args:
            max_bytes: Maximum size of the decoded body.

        Returns:
            The decoded body.

        Raises:
            InvalidResponseError: The body is larger than ``max_bytes``, incomplete, or cannot be decoded.
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
            f"{self._name}: larger than the limit of {max_bytes} bytes; increase the limit, or download it "
            "to a file"
        )

    async def _gather(self) -> bool:
        """Read the next block; return False at the end."""
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
                f"{self._name}: incomplete, the server announced {self.announced} bytes and sent "
                f"{self.received}"
            )
        if self._response.headers.get("Content-Length") == "0":  # an empty file, which is not compressed
            return
        if self._stages and not all(stage.is_whole for stage in self._stages):
            raise InvalidResponseError(
                f"{self._name}: the compressed body is incomplete, or is followed by more data"
            )

    async def aclose(self) -> None:
        """Close the response, even if it was not read to its end."""
        await self._response.aclose()
        # httpx's generators finish when they are read after the connection was closed.
        with contextlib.suppress(httpx.StreamError, httpx.TransportError, ClientClosedError):
            async for _ in self._raw:
                pass


class _Stage:
    """Decodes one content coding."""

    def __init__(self, coding: str) -> None:
        self._decompressor = zlib.decompressobj(_CODINGS[coding])
        self._may_be_raw = coding == "deflate"

    @property
    def is_whole(self) -> bool:
        return self._decompressor.eof and not self._decompressor.unused_data

    def decoded(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Decode blocks to blocks of at most 1 MiB."""
        for block in blocks:
            left, full = block, False
            while left or full:
                decoded = self._decompressed(left)
                left, full = self._decompressor.unconsumed_tail, len(decoded) == CHUNK_SIZE
                if decoded:
                    yield decoded
            if self._decompressor.unused_data:
                return  # data after the end of the compressed body, which `is_whole` reports

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
    encodings = response.headers["Content-Encoding"]
    codings = [coding for part in encodings.split(",") if (coding := part.strip().lower()) not in _PLAIN]
    if len(codings) > _MOST_CODINGS or not _CODINGS.keys() >= set(codings):
        raise InvalidResponseError(
            f"{name}: the server sent the unsupported Content-Encoding {encodings[:40]!r}; only "
            f"{DECODABLE} can be decoded"
        )
    return [_Stage(coding) for coding in reversed(codings)]


def announced_size(response: httpx.Response) -> int | None:
    """Get the announced size of a decoded body.

    Args:
        response: The response.

    Returns:
        Size in bytes; None if the server did not announce it, or the body is compressed.
    """
    announced = cast("str | None", response.headers.get("Content-Length"))
    encoded = response.headers.get("Content-Encoding") is not None
    return int(announced) if announced is not None and announced.isdecimal() and not encoded else None
