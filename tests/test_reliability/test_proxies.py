"""Ways through a proxy: plain, a tunnel for TLS, TLS to the proxy, SOCKS; each keeps its connection."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, ComputeClientConfig, ServerUnavailableError
from patience import within
from support import TLSFiles, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

BODY = b'{"status": "healthy", "service": "x", "version": "v1"}'
LOGIN = b"Basic dXNlcjpwJHNz"
"""user:p$ss."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that is always well."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY))
            await writer.drain()
    writer.close()


class Proxy:
    """Speaks HTTP and SOCKS 5, and leads every request to one port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.heads: list[bytes] = []
        self.tasks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            first = await reader.readexactly(1)
            if first == b"\x05":
                await self._greet(reader, writer)
                await self._pass_on(b"", reader, writer)
            else:
                head = first + await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                if head.startswith(b"CONNECT"):
                    writer.write(b"HTTP/1.1 200 Go on\r\n\r\n")
                    head = b""
                await self._pass_on(head, reader, writer)
        writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x05" + (b"\x02" if b"\x02" in methods else b"\x00"))
        if b"\x02" in methods:
            await reader.readexactly(1)
            name = await reader.readexactly((await reader.readexactly(1))[0])
            self.heads.append(name + b":" + await reader.readexactly((await reader.readexactly(1))[0]))
            writer.write(b"\x01\x00")
        kind = (await reader.readexactly(4))[3]
        await reader.readexactly((4 if kind == 1 else (await reader.readexactly(1))[0]) + 2)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        to_server.write(head)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while block := await source.read(2**16):
                    sink.write(block)
                    await sink.drain()
            sink.close()

        await asyncio.gather(copy(reader, to_server), copy(from_server, writer))


@contextlib.asynccontextmanager
async def through(
    scheme: str, files: TLSFiles, *, encrypted: bool, **settings: object
) -> AsyncGenerator[tuple[ComputeClient, Proxy]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.server_cert, files.server_key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context if encrypted else None)
    proxy = Proxy(port_of(server.sockets[0]))
    listener = await asyncio.start_server(
        proxy.accept, "127.0.0.1", 0, ssl=context if scheme == "https" else None
    )
    config = ComputeClientConfig.create(
        base_url=f"http{'s' if encrypted else ''}://127.0.0.1:9",
        mqtt_broker="off",
        proxy=f"{scheme}://user:p%24ss@127.0.0.1:{port_of(listener.sockets[0])}",
        ca_file=files.ca,
        max_retries=0,
        **settings,
    )
    async with server, listener:
        async with ComputeClient(config=config) as client:
            yield client, proxy
        async with within():
            await asyncio.gather(*proxy.tasks)  # they end when they hear that the client has hung up


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
async def test_a_way_through_a_proxy(scheme: str, tls_files: TLSFiles, *, encrypted: bool) -> None:
    async with through(scheme, tls_files, encrypted=encrypted) as (client, proxy):
        for _ in range(3):
            assert (await client.health()).status == "healthy"
        assert len(proxy.heads) == 1  # and so was the connection to the proxy
        if scheme.startswith("socks"):
            assert proxy.heads == [b"user:p$ss"]
        else:
            wanted = b"CONNECT 127.0.0.1:9 " if encrypted else b"GET http://127.0.0.1:9/ "
            assert proxy.heads[0].startswith(wanted)
            assert LOGIN in proxy.heads[0]


async def test_proxies_of_the_environment(tls_files: TLSFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    async with through("http", tls_files, encrypted=False) as (client, proxy):
        secret = client.config.proxy
        assert secret is not None
        monkeypatch.setenv("HTTP_PROXY", secret.get_secret_value())
        config = ComputeClientConfig.create(base_url="http://127.0.0.1:9", mqtt_broker="off", max_retries=0)
        async with ComputeClient(config=config) as of_environment:
            assert (await of_environment.health()).status == "healthy"
        assert len(proxy.heads) == 1
        for settings in ({"trust_env": False}, {}):
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            async with ComputeClient(config=config.replace(**settings)) as direct:
                with pytest.raises(ServerUnavailableError, match="Cannot connect"):
                    await direct.health()
        assert len(proxy.heads) == 1
