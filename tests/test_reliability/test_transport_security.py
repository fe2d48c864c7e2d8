"""TLS, WebSockets and client certificates, against a real Mosquitto and a real TLS server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import ssl
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, ComputeClientConfig, ConfigurationError, ServerUnavailableError
from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from patience import SECONDS, soon
from support import NO_SLOW_READS, TLSFiles, free_port, heard, port_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client.local import LocalServer
    from support import Mosquitto

    MakeServer = Callable[..., LocalServer]
    MakeClient = Callable[..., ComputeClient]
    MakeMosquitto = Callable[..., Mosquitto]


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss"])
async def test_every_transport_pushes(
    scheme: str,
    local_server: MakeServer,
    make_client: MakeClient,
    make_mosquitto: MakeMosquitto,
    tls_files: TLSFiles,
) -> None:
    port = free_port()
    lines = ["allow_anonymous true", f"listener {port} 127.0.0.1", "allow_anonymous true"]
    lines += ["protocol websockets"] if scheme.startswith("ws") else []
    lines += [tls_files.for_mosquitto] if scheme in {"mqtts", "wss"} else []
    server = local_server(mqtt_url=make_mosquitto("\n".join(lines)).url)
    settings = {"mqtt_broker": f"{scheme}://127.0.0.1:{port}", "ca_file": tls_files.ca, **NO_SLOW_READS}
    async with make_client(server, **settings) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"


async def test_a_broker_that_asks_for_a_certificate(
    local_server: MakeServer, make_client: MakeClient, make_mosquitto: MakeMosquitto, tls_files: TLSFiles
) -> None:
    port = free_port()
    broker = make_mosquitto(
        f"allow_anonymous true\nlistener {port} 127.0.0.1\nrequire_certificate true\n"
        f"allow_anonymous true\n{tls_files.for_mosquitto}"
    )
    server = local_server(mqtt_url=broker.url)
    settings = {"mqtt_broker": f"mqtts://127.0.0.1:{port}", "ca_file": tls_files.ca, **NO_SLOW_READS}
    certificate = {"client_cert_file": tls_files.client_cert, "client_key_file": tls_files.client_key}
    async with make_client(server, **settings, **certificate) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
    with heard("cl_client.mqtt", "No MQTT connection") as refused:
        async with make_client(server, **settings) as stranger:
            await soon(refused.wait())
            assert not stranger.mqtt_monitor.is_connected


@pytest.mark.parametrize("fault", ["another authority", "another name"])
async def test_a_broker_that_is_not_who_it_should_be(
    *,
    fault: str,
    local_server: MakeServer,
    make_client: MakeClient,
    make_mosquitto: MakeMosquitto,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    (tmp_path / "broker").mkdir()
    (tmp_path / "mine").mkdir()
    at_broker = TLSFiles.make(
        tmp_path / "broker", "other.example" if fault == "another name" else "127.0.0.1"
    )
    mine = at_broker if fault == "another name" else TLSFiles.make(tmp_path / "mine")
    broker = make_mosquitto(
        f"allow_anonymous true\nlistener {port} 127.0.0.1\nallow_anonymous true\n{at_broker.for_mosquitto}"
    )
    server = local_server(mqtt_url=broker.url)
    settings = {"mqtt_broker": f"mqtts://127.0.0.1:{port}", "ca_file": mine.ca}
    with heard("cl_client.mqtt", "No MQTT connection") as refused:
        async with make_client(server, **settings) as client:
            job = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
            assert job.status == "completed"
            await soon(refused.wait())
            assert not client.mqtt_monitor.is_connected
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    (warning,) = [message for message in warnings if "No MQTT connection" in message]
    assert "certificate is not trusted" in warning


async def test_http_behind_tls(tls_files: TLSFiles) -> None:
    body = b'{"status": "healthy", "service": "x", "version": "v1"}'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls_files.server_cert, tls_files.server_key)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        settings = {
            "base_url": f"https://127.0.0.1:{port_of(server.sockets[0])}",
            "mqtt_broker": "off",
            "max_retries": 0,
        }
        trusting = ComputeClientConfig.create(**settings, ca_file=tls_files.ca)
        async with ComputeClient(config=trusting) as client:
            assert (await client.health()).status == "healthy"
        async with ComputeClient(config=ComputeClientConfig.create(**settings)) as client:
            with pytest.raises(ServerUnavailableError, match="not trusted"):
                await client.health()


def test_certificate_files_that_cannot_be_used(tmp_path: Path, tls_files: TLSFiles) -> None:
    with pytest.raises(ConfigurationError, match="ca_file"):
        ComputeClientConfig.create(ca_file=tmp_path / "missing.pem")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("this is no certificate")

    async def use(**settings: object) -> None:
        config = ComputeClientConfig.create(base_url="https://127.0.0.1:1", mqtt_broker="off", **settings)
        async with ComputeClient(config=config) as client:
            await client.health()

    with pytest.raises(
        ConfigurationError, match=r"ca_file: .*nonsense.pem contains no valid PEM certificates"
    ):
        asyncio.run(use(ca_file=nonsense))
    with pytest.raises(ConfigurationError, match=r"client_cert_file: .*nonsense.pem is not a valid cert"):
        asyncio.run(use(ca_file=tls_files.ca, client_cert_file=nonsense))


async def test_a_web_socket_is_asked_for_with_its_query() -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line[19:] for line in head.splitlines() if line.lower().startswith("sec-websocket-key: "))
        proof = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324 - RFC 6455
        lines = ["HTTP/1.1 101 Yes", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {base64.b64encode(proof).decode()}", "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        asked.put_nowait(head.splitlines()[0])
        await reader.read()
        writer.close()

    broker = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{port_of(broker.sockets[0])}/mqtt?sig=a%2Fb"
    connection = MQTTConnection(BrokerAddress.parse(url))
    async with broker:
        connection.start()
        assert await soon(asked.get()) == "GET /mqtt?sig=a%2Fb HTTP/1.1"
        await connection.close()
