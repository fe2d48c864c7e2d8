"""Closing: whatever is under way, and on whatever loop, it ends soon and leaves nothing."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from cl_client import (
    AuthClient,
    ClientClosedError,
    ComputeClient,
    ComputeClientConfig,
    ComputeClientError,
    PasswordAuthProvider,
    UploadStream,
)
from cl_client._transfers.sources import CHUNK_SIZE
from cl_client.local import LocalServer, ServerTLS
from cl_client.testing import StubServer, http_response
from patience import NEVER, SECONDS, soon, within
from support import port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from support import Mosquitto, TLSFiles

    MakeServer = Callable[..., LocalServer]
    MakeClient = Callable[..., ComputeClient]

# Only closing ends what is under way, and no time limit of the client's own.
UNLIMITED: Final = {"timeout": NEVER, "mqtt_connect_timeout": NEVER}


async def use(client: ComputeClient, *, push: bool = True) -> None:
    assert (await client.health()).status == "healthy"
    assert not push or await client.mqtt_monitor.wait_connected(SECONDS)


async def close(client: ComputeClient) -> None:
    async with within():
        await client.close()


def test_closing_on_another_loop_than_the_one_that_has_ended(
    local_server: MakeServer, make_client: MakeClient
) -> None:
    client = make_client(local_server())
    asyncio.run(use(client))
    asyncio.run(close(client))
    asyncio.run(close(client))


def test_closing_on_another_loop_while_there_is_no_broker(
    local_server: MakeServer, make_client: MakeClient, unused_port: int
) -> None:
    client = make_client(local_server(), mqtt_broker=f"127.0.0.1:{unused_port}")
    asyncio.run(use(client, push=False))
    asyncio.run(close(client))


def test_closing_on_another_loop_while_the_broker_says_nothing(
    local_server: MakeServer, make_client: MakeClient
) -> None:
    connected, server = threading.Event(), local_server()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    async def on_this_loop() -> None:
        broker = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        async with broker:
            client = make_client(server, mqtt_broker=f"127.0.0.1:{port_of(broker.sockets[0])}", **UNLIMITED)
            await asyncio.to_thread(asyncio.run, use(client, push=False))
            assert await asyncio.to_thread(connected.wait, SECONDS)
            await close(client)

    asyncio.run(on_this_loop())


def test_connections_over_tls_are_closed_on_another_loop(
    make_client: MakeClient, tls_files: TLSFiles
) -> None:
    tls = ServerTLS(tls_files.server_cert, tls_files.server_key)
    with LocalServer(workers=1, tasks=["hash"], tls=tls) as server:
        client = make_client(server, ca_file=tls_files.ca)
        asyncio.run(use(client))
        asyncio.run(close(client))


def test_another_loop_takes_over_and_the_old_connections_are_closed(
    local_server: MakeServer, make_client: MakeClient
) -> None:
    client = make_client(local_server())
    for _ in range(3):
        asyncio.run(use(client))
    asyncio.run(close(client))


async def test_a_loop_in_use_keeps_its_client(local_server: MakeServer, make_client: MakeClient) -> None:
    async with make_client(local_server()) as client:
        with pytest.raises(ComputeClientError, match="in use on another event loop"):
            await asyncio.to_thread(asyncio.run, close(client))
        await use(client)


def test_a_client_that_is_never_closed_ends_its_thread(make_mosquitto: Callable[[], Mosquitto]) -> None:
    # This broker has no messages, the first of which would find out that there is no loop.
    client = ComputeClient("http://127.0.0.1:1", mqtt_broker=make_mosquitto().url)
    before = set(threading.enumerate())

    async def connect() -> set[threading.Thread]:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        return {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("mqtt-")}

    (thread,) = asyncio.run(connect())
    thread.join(SECONDS)
    assert not thread.is_alive()


CALLS: dict[str, Callable[[ComputeClient, Path], Awaitable[object]]] = {
    "read": lambda client, _: client.get_job("j"),
    "submit": lambda client, _: client.hash.compute(b"x"),
    "submit and wait": lambda client, _: client.hash.compute(b"x", wait=True),
    "health": lambda client, _: client.health(),
    "download": lambda client, folder: client.download_job_file("j", "output/a", folder / "a"),
    "downloads": lambda client, folder: client.download_job_files("j", ["a"], folder),
    "file": lambda client, _: client.read_job_file("j", "output/a"),
    "capabilities": lambda client, _: client.get_capabilities(),
    "workers": lambda client, _: client.wait_for_workers(["hash"]),
    "delete": lambda client, _: client.delete_job("j"),
}


AUTH_CALLS: dict[str, Callable[[AuthClient], Awaitable[object]]] = {
    "read": AuthClient.me,
    "login": lambda auth: auth.login("me", "pw"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("state", ["without an answer", "between two attempts"])
async def test_a_call_under_way_is_told(
    tmp_path: Path, state: str, call: Callable[[ComputeClient, Path], Awaitable[object]]
) -> None:
    later = http_response("429 Slow down", headers="Retry-After: 300\r\n")
    server = StubServer(None if state == "without an answer" else later)
    async with server.running(timeout=NEVER) as client:
        under_way = asyncio.ensure_future(call(client, tmp_path))
        await server.received(1)
        await close(client)
        with pytest.raises(ClientClosedError):
            await soon(under_way)
        assert len(server.requests) == 1
    assert not list(tmp_path.iterdir())


async def test_calls_that_wait_for_their_turn_or_for_another_call_are_told() -> None:
    server = StubServer(None)
    async with server.running(pool_maxsize=1, timeout=NEVER) as client:
        calls = [asyncio.ensure_future(client.get_job(name)) for name in "aaabbc"]
        await server.received(1)
        await close(client)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClientClosedError] * len(calls)
    assert len(server.requests) == 1


async def test_calls_that_wait_behind_an_open_stream_are_told() -> None:
    server = StubServer(http_response("200 OK", "abc"))
    async with server.running(pool_maxsize=1, timeout=NEVER) as client, client.open_job_file("j", "a"):
        calls = [asyncio.ensure_future(call) for call in (client.get_job("j"), client.health())]
        await asyncio.sleep(0)  # they begin
        await close(client)
        outcomes = await soon(asyncio.gather(*calls, return_exceptions=True))
    assert [type(outcome) for outcome in outcomes] == [ClientClosedError] * 2


async def test_a_call_that_waits_for_a_token_is_told() -> None:
    service = StubServer(None)
    async with service.running() as at_service:
        provider = PasswordAuthProvider(at_service.config.base_url, "me", "pw", timeout=NEVER)
        client = ComputeClient("http://127.0.0.1:1", mqtt_broker="off", auth_provider=provider)
        under_way = asyncio.ensure_future(client.health())
        await service.received(1)
        await close(client)
        with pytest.raises(ClientClosedError):
            await soon(under_way)


async def test_an_upload_whose_source_gives_nothing_more_is_told() -> None:
    waiting = asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"x"
        waiting.set()
        await asyncio.Event().wait()

    async with StubServer(None).running(timeout=NEVER) as client:
        under_way = asyncio.ensure_future(client.hash.compute(UploadStream(chunks, "a")))
        await soon(waiting.wait())
        await close(client)
        with pytest.raises(ClientClosedError):
            await soon(under_way)


async def test_a_stream_through_a_client_that_was_given_is_told() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + bytes(CHUNK_SIZE))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}"
    async with server, httpx.AsyncClient(timeout=NEVER) as given:
        client = ComputeClient(url, mqtt_broker="off", http_client=given)
        begun = asyncio.Event()

        async def read() -> None:
            async with client.open_job_file("j", "a") as stream:
                async for _ in stream:
                    begun.set()

        under_way = asyncio.ensure_future(read())
        await soon(begun.wait())
        await close(client)
        with pytest.raises(ClientClosedError):
            await soon(under_way)


@pytest.mark.parametrize("call", AUTH_CALLS.values(), ids=AUTH_CALLS.keys())
@pytest.mark.parametrize("state", ["without an answer", "between two attempts"])
async def test_a_call_of_an_auth_client_is_told(
    state: str, call: Callable[[AuthClient], Awaitable[object]]
) -> None:
    later = http_response("429 Slow down", headers="Retry-After: 300\r\n")
    server = StubServer(None if state == "without an answer" else later)
    async with server.running(timeout=NEVER) as client:
        async with AuthClient(client.config.base_url, timeout=NEVER) as auth:
            under_way = asyncio.ensure_future(call(auth))
            await server.received(1)
        with pytest.raises(ClientClosedError) as caught:
            await soon(under_way)
        assert caught.value.__context__ is None  # nothing leads to frames with a password in them
        assert len(server.requests) == 1


def _mqtt_threads() -> set[threading.Thread]:
    """The threads that hold connections to brokers; servers that tests share have some, too."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("mqtt-")}


async def test_a_second_close_waits_for_the_first() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    connected, before = asyncio.Event(), _mqtt_threads()
    broker = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with broker:
        client = ComputeClient(
            "http://127.0.0.1:1",
            mqtt_broker=f"127.0.0.1:{port_of(broker.sockets[0])}",
            config=ComputeClientConfig.create(**UNLIMITED),
        )
        client.mqtt_monitor.start()
        await soon(connected.wait())
        first = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)  # it begins
        await close(client)
        assert not _mqtt_threads() - before
        await first


async def test_a_close_that_was_cancelled_can_be_done_again(unused_port: int) -> None:
    before = _mqtt_threads()
    client = ComputeClient("http://127.0.0.1:1", mqtt_broker=f"127.0.0.1:{unused_port}")
    client.mqtt_monitor.start()
    first = asyncio.ensure_future(client.close())
    await asyncio.sleep(0)  # it begins
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await close(client)
    assert not _mqtt_threads() - before


async def test_a_caller_that_was_cancelled_as_well_is_just_cancelled() -> None:
    server = StubServer(None)
    async with server.running(timeout=NEVER) as client:
        reading = asyncio.ensure_future(client.get_job("j"))
        await server.received(1)
        reading.cancel()
        await close(client)
        with pytest.raises(asyncio.CancelledError):
            await reading


@pytest.mark.parametrize("on_another_loop", [False, True])
def test_an_auth_service_that_hangs_holds_up_no_closing(*, on_another_loop: bool) -> None:
    asked = threading.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    async def connect(client: ComputeClient, *, and_close: bool) -> None:
        client.mqtt_monitor.start()
        assert await asyncio.to_thread(asked.wait, SECONDS)
        if and_close:
            await close(client)

    async def play() -> None:
        service = await asyncio.start_server(hang, "127.0.0.1", 0)
        async with service:
            auth_url = f"http://127.0.0.1:{port_of(service.sockets[0])}"
            provider = PasswordAuthProvider(auth_url, "me", "pw", timeout=NEVER)
            config = ComputeClientConfig.create(
                base_url="http://127.0.0.1:1", mqtt_broker="127.0.0.1:1", mqtt_use_token=True, **UNLIMITED
            )
            client = ComputeClient(config=config, auth_provider=provider)
            its_loop = partial(asyncio.run, connect(client, and_close=not on_another_loop))
            await asyncio.to_thread(its_loop)
            await close(client)

    asyncio.run(play())


async def test_closing_ends_a_wait_for_workers_while_push_is_live() -> None:
    server = LocalServer(tasks=["exif"], workers=1)
    async with server, server.client() as client:
        await client.wait_for_workers(["exif"], timeout=SECONDS)
        waiting = asyncio.ensure_future(client.wait_for_workers(["hash"]))
        await asyncio.sleep(0)
        await close(client)
        with pytest.raises(ClientClosedError):
            await soon(waiting)
