"""Bodies of responses as they are read: block by block, decoded, complete, and within limits."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from typing import TYPE_CHECKING

import httpx
import pytest
from typing_extensions import override

from cl_client import ClientClosedError, InvalidResponseError, ServerUnavailableError
from cl_client._transfers.body import TOLD, BodyReader, announced_size
from cl_client._transfers.sources import CHUNK_SIZE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RANDOM = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(1000))
"""32,000 bytes, which do not become fewer when they are compressed."""


class Arriving(httpx.AsyncByteStream):
    """A body in the blocks in which it arrives, and perhaps an error after them."""

    def __init__(self, *blocks: bytes, error: Exception | None = None) -> None:
        self._blocks = blocks
        self._error = error
        self.taken = 0
        self.closed = False

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for block in self._blocks:
            self.taken += 1
            yield block
        if self._error is not None:
            raise self._error

    @override
    async def aclose(self) -> None:
        self.closed = True


def response_of(body: Arriving, **headers: str) -> httpx.Response:
    return httpx.Response(
        200,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        stream=body,
        request=httpx.Request("GET", "http://server/jobs/j/files/a.bin"),
    )


def reader_of(*blocks: bytes, block_size: int | None = None, **headers: str) -> BodyReader:
    return BodyReader("a.bin", response_of(Arriving(*blocks), **headers), block_size)


async def blocks_of(reader: BodyReader) -> list[bytes]:
    blocks = [block async for block in reader]
    assert reader.received == sum(map(len, blocks))
    return blocks


@pytest.mark.parametrize(
    ("block_size", "blocks"),
    [
        (None, [b"abc", b"de", b"fghij"]),
        (4, [b"abcd", b"efgh", b"ij"]),
        (5, [b"abcde", b"fghij"]),
        (1, [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b"j"]),
        (100, [b"abcdefghij"]),
    ],
)
async def test_blocks_of_a_given_size_or_as_they_arrive(block_size: int | None, blocks: list[bytes]) -> None:
    assert await blocks_of(reader_of(b"abc", b"de", b"fghij", block_size=block_size)) == blocks


async def test_no_block_is_larger_than_a_mebibyte() -> None:
    blocks = await blocks_of(reader_of(b"x" * (CHUNK_SIZE + 1), b"y"))
    assert [len(block) for block in blocks] == [CHUNK_SIZE, 1, 1]
    zeros = bytes(3 * CHUNK_SIZE)
    for encoding, bomb in (("gzip", gzip.compress(zeros)), ("deflate", zlib.compress(zeros)[2:-4])):
        blocks = await blocks_of(reader_of(bomb, content_encoding=encoding))
        assert [len(block) for block in blocks] == [CHUNK_SIZE] * 3


async def test_a_small_compressed_body_is_not_decoded_past_the_limit() -> None:
    body = Arriving(gzip.compress(bytes(100 * CHUNK_SIZE)), b"")
    reader = BodyReader("a.bin", response_of(body, content_encoding="gzip"))
    with pytest.raises(InvalidResponseError, match="larger than the limit of 10 bytes"):
        await reader.read(10)
    assert body.closed


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"content_length": "12"}, 12),
        ({"content_length": "0"}, 0),
        ({}, None),
        ({"content_length": "-1"}, None),
        ({"content_length": "many"}, None),
        ({"content_length": "12", "content_encoding": "gzip"}, None),
    ],
)
def test_the_announced_size(headers: dict[str, str], size: int | None) -> None:
    assert announced_size(response_of(Arriving(), **headers)) == size


@pytest.mark.parametrize("blocks", [(), (b"abc",), (b"abc", b"def")])
async def test_a_body_that_is_not_as_long_as_announced(blocks: tuple[bytes, ...]) -> None:
    sent = sum(map(len, blocks))
    reason = f"a.bin: incomplete, the server announced 4 bytes and sent {sent}"
    with pytest.raises(InvalidResponseError, match=reason):
        await reader_of(*blocks, content_length="4").read(10)
    with pytest.raises(InvalidResponseError, match=reason):
        await blocks_of(reader_of(*blocks, content_length="4"))


async def test_a_body_of_the_largest_allowed_size() -> None:
    for headers in ({}, {"content_length": "6"}):
        reader = BodyReader("a.bin", response_of(Arriving(b"abc", b"def"), **headers))
        assert await reader.read(6) == b"abcdef"
        assert reader.received == 6
        body = Arriving(b"abc", b"def", b"ghi")
        with pytest.raises(InvalidResponseError, match=r"a\.bin: larger than the limit of 5 bytes"):
            await BodyReader("a.bin", response_of(body, **headers)).read(5)
        assert body.closed
    assert await reader_of().read(0) == b""


async def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    body = Arriving(b"abc", b"def")
    reader = BodyReader("a.bin", response_of(body, content_length="6"))
    assert reader.announced == 6
    with pytest.raises(InvalidResponseError, match="limit of 5 bytes"):
        await reader.read(5)
    assert body.closed


def twice(body: bytes) -> bytes:
    return zlib.compress(gzip.compress(body))


NOT_DECODED = r"^/jobs/j/files/a\.bin: the body cannot be decoded: "
NOT_WHOLE = r"^a\.bin: the compressed body is incomplete, or is followed by more data"
RAW_DEFLATE = zlib.compress(RANDOM)[2:-4]
ENCODED = [
    ("gzip", gzip.compress(RANDOM)),
    ("GZIP", gzip.compress(RANDOM)),
    ("deflate", zlib.compress(RANDOM)),
    ("deflate", RAW_DEFLATE),
    (" identity, gzip ,", gzip.compress(RANDOM)),
    ("gzip, deflate", twice(RANDOM)),
    ("identity", RANDOM),
    ("", RANDOM),
]


@pytest.mark.parametrize(("encoding", "body"), ENCODED)
@pytest.mark.parametrize("size", [100, 10_000, 1_000_000])
async def test_decoding_whatever_the_blocks_are(encoding: str, body: bytes, size: int) -> None:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert await reader_of(*pieces, content_encoding=encoding).read(len(RANDOM)) == RANDOM
    assert b"".join(await blocks_of(reader_of(*pieces, content_encoding=encoding))) == RANDOM


@pytest.mark.parametrize("encoding", ["br", "gzip, br", "gzip, gzip, gzip", "x" * 100])
def test_other_encodings(encoding: str) -> None:
    with pytest.raises(InvalidResponseError, match=f"a.bin: .*Content-Encoding '{encoding[:40]}'; only"):
        reader_of(content_encoding=encoding)


@pytest.mark.parametrize(
    ("encoding", "blocks"),
    [
        ("gzip", (b"this is not compressed",)),
        ("deflate", (b"this is not compressed",)),
        ("gzip", (gzip.compress(RANDOM)[:1000], bytes(1000), bytes(100_000))),
        ("deflate", (zlib.compress(RANDOM)[:20_000], b"\xff" * 100_000)),
        ("gzip", (RAW_DEFLATE,)),
        # What is in place of the checksum would be a body of its own.
        ("deflate", (zlib.compress(RANDOM)[:-4], RAW_DEFLATE)),
    ],
)
async def test_what_cannot_be_decoded(encoding: str, blocks: tuple[bytes, ...]) -> None:
    body = Arriving(*blocks)
    reader = BodyReader("a.bin", response_of(body, content_encoding=encoding))
    with pytest.raises(InvalidResponseError, match=NOT_DECODED) as caught:
        await reader.read(10**6)
    assert isinstance(caught.value.__cause__, zlib.error)
    assert body.closed


@pytest.mark.parametrize(
    ("encoding", "blocks"),
    [
        ("gzip", (gzip.compress(RANDOM)[:-1],)),
        ("gzip", ()),
        ("gzip", (gzip.compress(RANDOM) + b"more",)),
        ("gzip", (gzip.compress(RANDOM), b"more")),
        ("gzip, deflate", (zlib.compress(gzip.compress(RANDOM)[:-1]),)),
        ("gzip, deflate", (twice(RANDOM)[:-1],)),
        ("gzip, deflate", (zlib.compress(gzip.compress(RANDOM) + b"more"),)),
    ],
)
async def test_a_compressed_body_without_its_end_or_with_more_after_it(
    encoding: str, blocks: tuple[bytes, ...]
) -> None:
    with pytest.raises(InvalidResponseError, match=NOT_WHOLE):
        await reader_of(*blocks, content_encoding=encoding).read(10**6)
    with pytest.raises(InvalidResponseError, match=NOT_WHOLE):
        await blocks_of(reader_of(*blocks, content_encoding=encoding))


async def test_an_empty_file_is_not_compressed() -> None:
    assert await reader_of(content_encoding="gzip", content_length="0").read(10) == b""


@pytest.mark.parametrize("told", [True, False])
async def test_a_connection_that_is_lost(*, told: bool) -> None:
    lost = httpx.ReadError("reset")
    converted = ServerUnavailableError("Lost the connection")
    body = Arriving(b"abc", error=lost)
    response = response_of(body)
    if told:
        response.extensions[TOLD] = {lost: converted}.get
    reader = BodyReader("a.bin", response)
    assert await anext(reader) == b"abc"
    with pytest.raises(ServerUnavailableError if told else httpx.ReadError) as caught:
        await anext(reader)
    assert caught.value is (converted if told else lost)
    assert caught.value.__cause__ is (lost if told else None)


async def test_an_error_that_is_not_converted() -> None:
    lost = httpx.ReadError("reset")
    body = Arriving(error=lost)
    response = response_of(body)
    response.extensions[TOLD] = {lost: lost}.get
    with pytest.raises(httpx.ReadError) as caught:
        await BodyReader("a.bin", response).read(10)
    assert (caught.value, caught.value.__cause__) == (lost, None)
    assert body.closed


@pytest.mark.parametrize("error", [None, httpx.ReadError("reset"), httpx.StreamClosed(), ClientClosedError()])
async def test_closing_a_body_that_was_not_read(error: Exception | None) -> None:
    body = Arriving(b"abc", b"def", error=error)
    reader = BodyReader("a.bin", response_of(body), block_size=1)
    assert await anext(reader) == b"a"
    await reader.aclose()
    assert (body.closed, body.taken) == (True, 2)  # its generators have ended
