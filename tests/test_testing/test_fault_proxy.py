"""`FaultProxy` changes nothing of what passes through it, whatever way an HTTP message ends."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from cl_client import InvalidRequestError, ServerUnavailableError
from cl_client.testing import BrokerProxy, Exchange, FaultProxy, Stall, cut, reset
from support import TLSFiles, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@asynccontextmanager
async def upstream(
    response: bytes, *, reads_bodies: bool = True, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncGenerator[int]:
    """A server that sends one response for each connection, and closes it; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if reads_bodies and (length := _LENGTH.search(head)):
            await reader.readexactly(int(length[1]))
        elif reads_bodies and b"chunked" in head:
            while not (await reader.readline()).startswith(b"0\r\n"):
                pass
        writer.write(response)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, host, 0, ssl=tls, limit=10_000_000) as server:
        yield port_of(server.sockets[0])


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(50):
        yield b"x" * 100_000 + b"\n"


@pytest.mark.parametrize(
    ("method", "response", "status", "body"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", 200, b""),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, b""),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 304, b""),
        (
            "GET",
            b"HTTP/1.1 206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 0-1/9\r\n\r\nab",
            206,
            b"ab",
        ),
        (
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nEnd: 1\r\n\r\n",
            200,
            b"ab",
        ),
        (
            "GET",
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            200,
            b"ab",
        ),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nup to the end", 200, b"up to the end"),
        ("GET", b"HTTP/1.0 200 OK\r\n\r\nup to the end", 200, b"up to the end"),
    ],
)
async def test_every_way_to_end_a_response(method: str, response: bytes, status: int, body: bytes) -> None:
    async with (
        upstream(response) as port,
        FaultProxy(f"http://127.0.0.1:{port}/base") as proxy,
        httpx.AsyncClient() as client,
    ):
        for _ in range(2):
            got = await client.request(method, f"{proxy.base_url}/x?y=1")
            assert (got.status_code, got.content) == (status, body)
        assert proxy.requests[-1].startswith(f"{method} /base/x?y=1 ".encode())
        assert proxy.responses == [response] * 2


async def test_an_upload_in_chunks_and_a_large_one() -> None:
    async with (
        upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000) as port,
        FaultProxy(f"http://127.0.0.1:{port}") as proxy,
        httpx.AsyncClient(timeout=60) as client,
    ):
        for content in (chunks(), b"y" * 50_000_000):
            got = await client.post(proxy.base_url, content=content)
            assert len(got.content) == 50_000_000


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\nConnection: close", b"GET / HTTP/1.0"])
async def test_a_client_that_waits_for_the_end_of_the_connection(request_line: bytes) -> None:
    async with (
        upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as port,
        FaultProxy(f"http://127.0.0.1:{port}") as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(proxy.base_url).port)
        writer.write(request_line + b"\r\nHost: here\r\n\r\n")
        async with asyncio.timeout(20):
            assert (await reader.read()).endswith(b"ok")
        writer.close()


async def test_a_server_that_responds_before_it_has_read_all() -> None:
    refusal = b'HTTP/1.1 413 Too Large\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"detail":"big"}'
    async with (
        upstream(refusal, reads_bodies=False) as port,
        FaultProxy(f"http://127.0.0.1:{port}") as proxy,
        proxy.client(max_retries=0) as client,
    ):
        with pytest.raises(InvalidRequestError, match="big"):
            await client.hash.compute(b"x" * 50_000_000)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        b"not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["unfinished", "not HTTP", "endless headers"],
)
async def test_a_response_that_is_none_breaks_the_connection(response: bytes) -> None:
    async with (
        upstream(response) as port,
        FaultProxy(f"http://127.0.0.1:{port}") as proxy,
        proxy.client(max_retries=0) as client,
    ):
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await client.health()


@pytest.mark.parametrize("request_bytes", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000])
async def test_a_request_that_is_none_breaks_the_connection(request_bytes: bytes) -> None:
    async with FaultProxy("http://127.0.0.1:1") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(proxy.base_url).port)
        writer.write(request_bytes)
        async with asyncio.timeout(20):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_client_that_does_not_read_does_not_hold_up_the_end() -> None:
    body = b"x" * 90_000_000
    async with upstream(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as port:
        async with asyncio.timeout(60):
            async with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", httpx.URL(proxy.base_url).port, limit=1000
                )
                writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
                await reader.read(10)
        writer.close()


async def test_a_server_behind_ipv6() -> None:
    async with (
        upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", host="::1") as port,
        FaultProxy(f"http://[::1]:{port}") as proxy,
        httpx.AsyncClient() as client,
    ):
        assert (await client.get(proxy.base_url)).text == "ok"


async def test_a_server_with_an_authority_of_its_own(tls_files: TLSFiles) -> None:
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(tls_files.server_cert, tls_files.server_key)
    trusting = ssl.create_default_context(cafile=tls_files.ca)
    async with upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", tls=server_side) as port:
        url = f"https://127.0.0.1:{port}"
        async with FaultProxy(url, ssl_context=trusting) as proxy, httpx.AsyncClient() as client:
            assert (await client.get(proxy.base_url)).text == "ok"
        stack = AsyncExitStack()
        proxy = await stack.enter_async_context(FaultProxy(url))
        client = await stack.enter_async_context(httpx.AsyncClient())
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(proxy.base_url)
        with pytest.raises(ssl.SSLCertVerificationError):
            await stack.aclose()


async def test_a_mistake_in_a_fault_is_raised_in_the_end() -> None:
    async def mistaken(_exchange: Exchange) -> None:
        raise KeyError("my mistake")

    stack = AsyncExitStack()
    proxy = await stack.enter_async_context(FaultProxy("http://127.0.0.1:1"))
    client = await stack.enter_async_context(proxy.client(max_retries=0))
    proxy.plan(mistaken)
    with pytest.raises(ServerUnavailableError):
        await client.health()
    with pytest.raises(KeyError, match="my mistake"):
        await stack.aclose()


@pytest.mark.parametrize(
    ("times", "matching", "words"),
    [(0, "", "times is 0"), (-1, "", "times is -1"), (1, "(", r"matching is '\(', not a regular expression")],
)
def test_an_impossible_plan_is_refused(times: int, matching: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FaultProxy("http://127.0.0.1:1").plan(cut(0), times, matching=matching)


@pytest.mark.parametrize("fault", [cut, Stall, reset])
def test_a_negative_number_of_bytes_is_refused(fault: Callable[[int], object]) -> None:
    with pytest.raises(ValueError, match="after is -1"):
        fault(-1)


@pytest.mark.parametrize(
    ("broker", "expected"),
    [
        ("mqtt://me:p%40ss@127.0.0.1:1", r"mqtt://me:p%40ss@127\.0\.0\.1:\d+"),
        ("ws://127.0.0.1:1/push?key=1", r"ws://127\.0\.0\.1:\d+/push\?key=1"),
        ("127.0.0.1", r"mqtt://127\.0\.0\.1:\d+"),
    ],
)
async def test_the_address_of_a_broker_keeps_its_parts(broker: str, expected: str) -> None:
    async with BrokerProxy(broker) as proxy:
        assert re.fullmatch(expected, proxy.mqtt_url)
