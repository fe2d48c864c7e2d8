"""Settings that hold secrets: accepted, used, and never shown."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from cl_client import ComputeClient, ComputeClientConfig, ConfigurationError
from support import port_of


def test_credentials_are_taken_out_of_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_BROKER_HOST", "mqtts://me:m%40qtt-secret@broker:8884")
    config = ComputeClientConfig.create(base_url="https://user:h%2Fttp-secret@server:8002/api/")
    assert (config.base_url, config.http_username) == ("https://server:8002/api", "user")
    assert config.http_password is not None
    assert config.http_password.get_secret_value() == "h/ttp-secret"
    assert (config.mqtt_broker, config.mqtt_username) == ("mqtts://broker:8884", "me")
    assert config.mqtt_password is not None
    assert config.mqtt_password.get_secret_value() == "m@qtt-secret"
    assert "secret" not in repr(config)
    plain = ComputeClientConfig.create(mqtt_broker="me:pw@broker")
    assert (plain.mqtt_broker, plain.mqtt_username) == ("broker", "me")


def test_credentials_of_one_server_are_not_for_another() -> None:
    config = ComputeClientConfig.create(base_url="http://user:pw@server")
    elsewhere = config.replace(base_url="http://elsewhere")
    assert (elsewhere.http_username, elsewhere.http_password) == (None, None)
    assert config.replace(timeout=3.0).http_username == "user"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("base_url", "http://user:p/secret@server", "as %2F, %3F, %23, %40 and %3A"),
        ("base_url", "http://server:secret", "host or port is invalid"),
        ("base_url", "http://server/?token=secret", r"cannot contain \?"),
        ("mqtt_broker", "mqtt://user:p/secret@broker", "as %2F, %3F, %23, %40 and %3A"),
        ("mqtt_broker", "user:secret/1@broker", "as %2F, %3F, %23, %40 and %3A"),
        ("mqtt_broker", "mqtt://broker:secret", "invalid host or port"),
        ("proxy", "localhost:secret", "the URL must start with one of http://"),
        ("proxy", "http://user:secret/1@proxy", "as %2F, %3F, %23, %40 and %3A"),
        ("proxy", "http://user:secret#1@proxy", "as %2F, %3F, %23, %40 and %3A"),
        ("proxy", "http://proxy:secret", "host or port is invalid"),
        ("proxy", "http://user:sec\nret@proxy", "host or port is invalid"),
        ("extra_headers", {"X-Key": "secret\r\nX: 1"}, "a line break"),
        ("extra_headers", {"X-Key": "secret "}, "a leading or trailing space"),
        ("extra_headers", {"X-Key": " secret"}, "a leading or trailing space"),
        ("extra_headers", {"X-Key": "\ufeffsecret"}, "a character that is not ASCII"),
        ("extra_headers", {"X Key": "secret"}, "not a valid header name"),
        ("pool_timeout", 0, "greater than 0"),
        ("connect_timeout", -1, "greater than 0"),
    ],
)
def test_unusable_settings_are_named_without_their_value(name: str, value: object, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        ComputeClientConfig.create(**{name: value})
    assert name in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match=reason) as caught:
        ComputeClientConfig.model_validate({name: value})
    assert "secret" not in f"{caught.value} {caught.value!r}"


def test_each_limit_falls_back_on_the_common_one() -> None:
    config = ComputeClientConfig.create(timeout=7.0, read_timeout=2.0)
    assert config.request_timeout == httpx.Timeout(connect=7.0, read=2.0, write=7.0, pool=7.0)


async def test_what_is_sent_with_each_request() -> None:
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"status": "healthy"}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://me:pw@127.0.0.1:{port_of(server.sockets[0])}"
    config = ComputeClientConfig.create(base_url=url, mqtt_broker="off", extra_headers={"X-Key": "one"})
    async with server, ComputeClient(config=config) as client:
        await client.health()
    assert "Authorization: Basic bWU6cHc=\r\n" in heads[0]
    assert "User-Agent: cl_client/" in heads[0]
    assert "X-Key: one\r\n" in heads[0]
    through = ComputeClientConfig.create(
        base_url="http://compute.example",
        mqtt_broker="off",
        proxy=f"http://127.0.0.1:{port_of(proxy.sockets[0])}",
    )
    async with proxy, ComputeClient(config=through) as client:
        await client.health()
    assert heads[1].startswith("GET http://compute.example/ HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("scheme", "exempt"),
    [("http://", "127.0.0.1"), ("", "127.0.0.1"), ("http://me:pw@", "{address}"), ("me:pw@", "{address}")],
)
async def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch, scheme: str, exempt: str) -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1])
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"status": "healthy"}')
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"127.0.0.1:{port_of(proxy.sockets[0])}"
    monkeypatch.setenv("http_proxy", f"{scheme}{address}")
    monkeypatch.setenv("no_proxy", exempt.format(address=address))
    async with proxy:
        async with ComputeClient("http://compute.example", mqtt_broker="off") as client:
            await client.health()
        async with ComputeClient(f"http://{address}", mqtt_broker="off") as client:
            await client.health()
    assert asked == ["http://compute.example/", "/"]


@pytest.mark.parametrize("proxy", ["http://me:sec/ret@proxy", "gopher://me:secret@proxy", "me:sec#ret@proxy"])
async def test_an_unusable_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    async with ComputeClient("http://compute.example", mqtt_broker="off") as client:
        with pytest.raises(ConfigurationError, match="HTTP_PROXY") as caught:
            await client.health()
    assert "sec" not in f"{caught.value} {caught.value.__context__} {caplog.text}"


async def test_requests_wait_for_their_turn_and_not_for_ever() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await go_on.wait()
        writer.write(
            b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\n{"status": "healthy"}'
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{port_of(server.sockets[0])}"
    settings = {"base_url": url, "mqtt_broker": "off", "pool_maxsize": 1, "pool_size": 0, "max_retries": 0}
    patient, hasty = (ComputeClientConfig.create(**settings, pool_timeout=limit) for limit in (None, 0.05))
    async with server:
        async with ComputeClient(config=hasty) as client:
            first = asyncio.ensure_future(client.health())
            await asyncio.wait_for(arrived.wait(), 10)
            with pytest.raises(TimeoutError, match=r"timed out after 0\.05 s: 1 requests are in progress"):
                await client.get_job("j")
            go_on.set()
            await first
        async with ComputeClient(config=patient) as client:
            answers = await asyncio.gather(*(client.health() for _ in range(300)))
            assert {answer.status for answer in answers} == {"healthy"}
