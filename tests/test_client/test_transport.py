"""The transport: a pool that never runs dry, failed connections are closed, missing extras are named."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
from typing import TYPE_CHECKING

import httpx
import pytest

from cl_client import ComputeClient, ComputeClientConfig, MissingExtraError, ServerUnavailableError
from cl_client._http.transport import PooledTransport
from patience import SECONDS, soon, within
from support import port_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


async def _answer_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of a connection."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
    writer.close()


async def test_answers_that_nobody_reads_hold_up_no_other_call() -> None:
    """They keep their connections; of httpcore's own pool these would be all."""

    server = await asyncio.start_server(_answer_ok, "127.0.0.1", 0)
    config = ComputeClientConfig.create(pool_maxsize=1, connect_timeout=0.2, trust_env=False)
    transport = PooledTransport(config, ssl.create_default_context)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}/"
    async with server, httpx.AsyncClient(transport=transport, timeout=config.request_timeout) as client:
        held = [await client.send(client.build_request("GET", url), stream=True) for _ in range(9)]
        answers = await asyncio.gather(*(client.get(url) for _ in range(3)))
        assert {answer.text for answer in answers} == {"ok"}
        assert [await answer.aread() for answer in held] == [b"ok"] * 9


@pytest.mark.parametrize("reset", [False, True])
async def test_an_early_answer_is_heard_between_two_blocks_of_a_slow_body(reset: bool) -> None:  # noqa: FBT001 - a parametrised case
    """The connection has ended when the next block is written."""
    answered = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        if reset:
            await reader.readexactly(20_000)
        writer.close()
        await writer.wait_closed()
        answered.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 20_000
        await answered.wait()
        for _ in range(5):
            for _ in range(10):  # the end arrives
                await asyncio.sleep(0)
            yield b"x" * 20_000

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    config = ComputeClientConfig.create(trust_env=False)
    transport = PooledTransport(config, ssl.create_default_context)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}/"
    async with server, within(), httpx.AsyncClient(transport=transport, timeout=SECONDS) as client:
        assert (await client.post(url, content=body())).status_code == 401


async def test_a_connection_that_won_against_a_silent_address_is_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await _answer_ok(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = port_of(server.sockets[0])

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    config = ComputeClientConfig.create(trust_env=False)
    transport = PooledTransport(config, ssl.create_default_context)
    with contextlib.ExitStack() as stack:
        # Linux ignores further connections when as many as this wait to be accepted.
        stack.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - it takes no keyword
            waiting.connect_ex(("127.0.0.2", port))
        async with server, within(), httpx.AsyncClient(transport=transport, timeout=SECONDS) as client:
            for _ in range(3):
                assert (await client.get(f"http://two-addresses.test:{port}/")).text == "ok"
    assert connections == 1


async def test_cookies_are_kept_and_sent_again() -> None:
    """A load balancer may need them to find the server again."""
    requests: list[bytes] = []
    job = b'{"job_id": "j", "task_type": "hash", "status": "queued"}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                requests.append(await reader.readuntil(b"\r\n\r\n"))
                cookie = b"Set-Cookie: backend=b7; Path=/\r\n" if len(requests) == 1 else b""
                head = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (cookie, len(job))
                writer.write(head + job)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    config = ComputeClientConfig.create(mqtt_broker="off", trust_env=False)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}"
    async with server, ComputeClient(url, config=config) as client:
        for _ in range(3):
            await client.get_job("j")
    assert [b"Cookie: backend=b7\r\n" in request for request in requests] == [False, True, True]


async def test_a_slow_body_holds_back_nothing_that_was_written_before_it() -> None:
    received = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first part")
        received.set()
        await reader.readuntil(b"last part")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    async def body() -> AsyncIterator[bytes]:
        yield b"first part"
        await received.wait()
        yield b"last part"

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    config = ComputeClientConfig.create(trust_env=False)
    transport = PooledTransport(config, ssl.create_default_context)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}/"
    async with server, httpx.AsyncClient(transport=transport, timeout=config.request_timeout) as client:
        assert (await client.post(url, content=body())).text == "ok"


async def test_an_idle_connection_that_the_server_has_closed_is_closed_here() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    config = ComputeClientConfig.create(trust_env=False)
    transport = PooledTransport(config, ssl.create_default_context)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}/"
    async with server, httpx.AsyncClient(transport=transport, timeout=config.request_timeout) as client:
        held = [await client.send(client.build_request("GET", url), stream=True) for _ in range(4)]
        for answer in held:
            await answer.aread()
        connections[0].write_eof()  # the oldest one, which would be used last

        async def is_closed() -> bool:
            await client.get(url)
            return connections[0].is_closing()

        async with within():
            while not await is_closed():
                pass
        assert len(connections) == 4


@pytest.mark.parametrize(
    ("settings", "extra", "module"),
    [({"http2": True}, "http2", "h2"), ({"proxy": "socks5://127.0.0.1:1"}, "socks", "socksio")],
)
def test_a_missing_extra_is_named(
    settings: dict[str, object], extra: str, module: str, run_python: Callable[[str], str]
) -> None:
    code = f"""
import asyncio, sys
sys.modules[{module!r}] = None
from cl_client import ComputeClient, ComputeClientConfig, MissingExtraError
async def main():
    config = ComputeClientConfig.create(mqtt_broker="off", **{settings!r})
    async with ComputeClient(config=config) as client:
        try:
            await client.health()
        except MissingExtraError as exc:
            print(exc)
asyncio.run(main())
"""
    assert f"cl_client[{extra}]" in run_python(code)
    assert issubclass(MissingExtraError, ImportError)


async def test_a_socks_proxy_is_asked() -> None:
    greeting = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting.set_result(await reader.readexactly(3))
        writer.write(b"\x05\xff")  # none of the methods is acceptable
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = f"socks5://127.0.0.1:{port_of(server.sockets[0])}"
    config = ComputeClientConfig.create(mqtt_broker="off", proxy=proxy, max_retries=0)
    async with server, ComputeClient(config=config) as client:
        with pytest.raises(ServerUnavailableError):
            await client.health()
    assert await greeting == b"\x05\x01\x00"  # version 5, one method, no authentication (RFC 1928)


async def test_a_connection_to_a_socks_proxy_that_refuses_is_closed() -> None:
    ended = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\x00")  # no authentication
        await reader.readexactly(5)
        writer.write(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")  # connection refused
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    proxy = f"socks5://127.0.0.1:{port_of(server.sockets[0])}"
    config = ComputeClientConfig.create(mqtt_broker="off", proxy=proxy, max_retries=0)
    async with server, ComputeClient(config=config) as client:
        with pytest.raises(ServerUnavailableError, match="refused"):
            await client.health()
        gc.collect()
        await soon(ended.wait())


async def test_a_connection_whose_handshake_is_cancelled_is_closed() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        begun.set()
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{port_of(server.sockets[0])}"
    async with server, ComputeClient(url, mqtt_broker="off") as client:
        call = asyncio.ensure_future(client.health())
        await soon(begun.wait())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await soon(ended.wait())
