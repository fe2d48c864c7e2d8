"""Calls that are cancelled twice in a row, which breaks the shielded closing of httpcore and anyio."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, ComputeClientConfig, PasswordAuthProvider
from cl_client.options import UploadStream
from patience import NEVER, within
from support import TLSFiles, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

CALLS = 400
AT_ONCE = 10
HEALTH = b'{"status": "healthy", "service": "x", "version": "v1"}'


class Halting:
    """Takes a part of an upload, or gives a part of a file, and then waits; health it tells."""

    def __init__(self) -> None:
        self.open = 0
        self.under_way = 0
        self._news = asyncio.Event()

    def _note(self, *, opened: int = 0, begun: int = 0) -> None:
        self.open += opened
        self.under_way += begun
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with within():
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note(opened=1)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self._exchange(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._note(opened=-1)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET / "):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(HEALTH), HEALTH))
            await writer.drain()
            return
        if head.startswith(b"POST"):
            await reader.readexactly(50_000)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + bytes(50_000))
            await writer.drain()
        self._note(begun=1)
        try:
            while await reader.read(2**16):  # the client lets other tasks go on
                pass
        finally:
            self._note(begun=-1)
        raise ConnectionError

    @contextlib.asynccontextmanager
    async def client(self, tls: TLSFiles | None, host: str = "127.0.0.1") -> AsyncGenerator[ComputeClient]:
        context, settings = None, dict[str, object]()
        if tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tls.server_cert, tls.server_key)
            settings["ca_file"] = tls.ca
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        config = ComputeClientConfig.create(
            base_url=f"http{'' if tls is None else 's'}://{host}:{port_of(server.sockets[0])}",
            mqtt_broker="off",
            pool_maxsize=AT_ONCE,
            pool_size=AT_ONCE,
            timeout=NEVER,
            **settings,
        )
        async with server, ComputeClient(config=config) as client:
            yield client


def endless() -> UploadStream:
    async def chunks() -> AsyncGenerator[bytes]:
        while True:
            yield bytes(20_000)

    return UploadStream(chunks, "a.bin")


async def upload(client: ComputeClient, _folder: Path) -> object:
    return await client.hash.compute(endless())


async def download(client: ComputeClient, folder: Path) -> object:
    return await client.download_job_file("j", "a", folder / "a")


async def read(client: ComputeClient, _folder: Path) -> object:
    return await client.read_job_file("j", "a")


async def stream(client: ComputeClient, _folder: Path) -> object:
    async with client.open_job_file("j", "a") as chunks:
        return [chunk async for chunk in chunks]


async def stop(calls: list[asyncio.Task[object]]) -> None:
    """Cancel each twice in a row."""
    for call in calls:
        call.cancel()
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes


@pytest.mark.parametrize("where", ["http://127.0.0.1", "http://localhost", "https://127.0.0.1"])
@pytest.mark.parametrize("call", [upload, download, read, stream])
async def test_nothing_is_left_of_calls_that_are_cancelled_twice(
    call: Callable[[ComputeClient, Path], Awaitable[object]],
    tls_files: TLSFiles,
    tmp_path: Path,
    where: str,
) -> None:
    server = Halting()
    scheme, _, host = where.partition("://")
    async with server.client(tls_files if scheme == "https" else None, host) as client:
        assert (await client.health()).status == "healthy"
        before = asyncio.all_tasks()

        def begun(count: int) -> list[asyncio.Task[object]]:
            folders = [tmp_path / "files" / str(number) for number in range(count)]
            return [asyncio.ensure_future(call(client, folder)) for folder in folders]

        for turns in range(CALLS // AT_ONCE):
            calls = begun(AT_ONCE)
            if turns % 2:  # in the midst of it
                await server.until(lambda: server.under_way == AT_ONCE)
            for _ in range(turns):  # and at every step on the way there
                await asyncio.sleep(0)
            await stop(calls)
        async with within():
            health = await asyncio.gather(*(client.health() for _ in range(3 * AT_ONCE)))
        assert {one.status for one in health} == {"healthy"}
        await server.until(lambda: server.under_way == 0 and server.open <= AT_ONCE)
        assert {task for task in asyncio.all_tasks() - before if "serve" not in repr(task)} == set()
    await server.until(lambda: server.open == 0)
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


async def test_nothing_is_left_of_logins_that_are_cancelled_twice() -> None:
    service = Halting()
    async with service.client(None) as at_service:
        provider = PasswordAuthProvider(at_service.config.base_url, "me", "pw", timeout=NEVER)
        config = ComputeClientConfig.create(base_url="http://127.0.0.1:1", mqtt_broker="off")
        async with ComputeClient(config=config, auth_provider=provider) as client:
            for turns in range(60):
                call = asyncio.ensure_future(client.health())
                if turns > 40:
                    await service.until(lambda: service.open == 1)
                for _ in range(turns % 40):
                    await asyncio.sleep(0)
                await stop([call])
                await service.until(lambda: service.open == 0)


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
def test_a_loop_that_was_closed_by_hand(tls_files: TLSFiles, *, encrypted: bool) -> None:
    """Without what asyncio.run does in the end: tasks are still there, and so is what they wait for."""
    server = Halting()
    opened = contextlib.AsyncExitStack()
    with asyncio.Runner() as of_server:
        plain = of_server.run(opened.enter_async_context(server.client(tls_files if encrypted else None)))
        used, never_used = ComputeClient(config=plain.config), ComputeClient(config=plain.config)

        def elsewhere(client: ComputeClient) -> None:
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(client.health()).status == "healthy"
            loop.close()

        async def use_and_close() -> None:
            for client in (used, never_used):
                await asyncio.to_thread(elsewhere, client)
            assert (await used.health()).status == "healthy"
            for client in (used, never_used):
                await client.close()
            await server.until(lambda: server.open == 0)

        of_server.run(use_and_close())
        of_server.run(opened.aclose())
