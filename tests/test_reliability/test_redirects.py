"""Redirects: followed with everything on one server, without any secret to another one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest
from typing_extensions import override

from cl_client import (
    AuthProvider,
    ComputeClient,
    ComputeClientConfig,
    ConfigurationError,
    InvalidRequestError,
    InvalidResponseError,
)
from support import port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

HEALTHY = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"status": "healthy"}'
JOB = b'HTTP/1.1 200 OK\r\nContent-Length: 52\r\n\r\n{"job_id": "j", "task_type": "t", "status":"queued"}'


class Recorder:
    """Answers each path as told, and records what came."""

    def __init__(self, answers: dict[str, bytes] | None = None) -> None:
        self.answers = answers or {}
        self.requests: dict[str, str] = {}
        self.url = ""

    def redirect(self, path: str, target: str, status: int = 307) -> None:
        head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        self.answers[path] = head.encode()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [
                    int(line[15:]) for line in head.splitlines() if line[:15].lower() == "content-length:"
                ]
                body = await reader.readexactly(sum(length))
                path = head.split(" ")[1]
                self.requests[path] = head.lower() + body.decode()
                writer.write(self.answers.get(path, HEALTHY))
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port_of(server.sockets[0])}"
        async with server:
            yield


class KeyProvider(AuthProvider):
    @override
    def get_headers(self) -> dict[str, str]:
        return {"X-Api-Key": "the-key", "Authorization": "Bearer the-token"}


SECRETS = ("the-key", "the-token", "the-header")


@contextlib.asynccontextmanager
async def two_servers() -> AsyncGenerator[tuple[Recorder, Recorder, ComputeClient]]:
    own, other = Recorder(), Recorder()
    async with own.running(), other.running():
        config = ComputeClientConfig.create(
            base_url=own.url, mqtt_broker="off", trust_env=False, extra_headers={"X-Own": "the-header"}
        )
        async with ComputeClient(config=config, auth_provider=KeyProvider()) as client:
            yield own, other, client


async def test_another_server_gets_no_secret() -> None:
    async with two_servers() as (own, other, client):
        own.redirect("/", f"{other.url}/elsewhere")
        assert (await client.health()).status == "healthy"
    assert all(secret in own.requests["/"] for secret in SECRETS)
    assert not [secret for secret in SECRETS if secret in other.requests["/elsewhere"]]


async def test_the_same_server_gets_everything_again() -> None:
    async with two_servers() as (own, _other, client):
        own.redirect("/jobs/hash", "/moved/hash")
        own.answers["/moved/hash"] = JOB
        assert (await client.hash.compute(b"the body")).job_id == "j"
    assert all(word in own.requests["/moved/hash"] for word in (*SECRETS, "the body"))


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_would_lose_the_upload_is_an_error(status: int) -> None:
    async with two_servers() as (own, _other, client):
        own.redirect("/jobs/hash", "/moved/hash", status)
        with pytest.raises(InvalidResponseError, match=r"redirected to http://.*/moved/hash, .*set base_url"):
            await client.hash.compute(b"the body")
        assert "/moved/hash" not in own.requests


async def test_a_circle() -> None:
    async with two_servers() as (own, _other, client):
        own.redirect("/", "/")
        with pytest.raises(InvalidResponseError, match="too many redirects"):
            await client.health()


@pytest.mark.parametrize("target", ["mailto:a", "http://xn--a/"])
async def test_a_redirect_to_what_is_no_address(target: str) -> None:
    own = Recorder()
    own.redirect("/", target)
    async with own.running(), httpx.AsyncClient() as http_client:
        for given in (None, http_client):
            async with ComputeClient(own.url, mqtt_broker="off", http_client=given) as client:
                with pytest.raises(InvalidResponseError, match="redirects to an invalid URL"):
                    await client.health()


async def test_a_client_that_was_given_does_not_follow() -> None:
    own = Recorder()
    own.redirect("/", "https://elsewhere.example/")
    async with own.running(), httpx.AsyncClient() as http_client:
        async with ComputeClient(own.url, mqtt_broker="off", http_client=http_client) as client:
            with pytest.raises(InvalidRequestError, match=r"redirected to 'https://elsewhere\.example/'"):
                await client.health()
        assert not http_client.is_closed
        assert (await http_client.get(f"{own.url}/again")).is_success


async def test_a_transport_that_was_given_is_closed_with_the_client() -> None:
    class Transport(httpx.AsyncHTTPTransport):
        closed = False

        @override
        async def aclose(self) -> None:
            self.closed = True
            await super().aclose()

    own, transport = Recorder(), Transport()
    async with own.running():
        async with ComputeClient(own.url, mqtt_broker="off", transport=transport) as client:
            assert (await client.health()).status == "healthy"
        assert transport.closed
    with pytest.raises(ConfigurationError, match="either"):
        ComputeClient(transport=transport, http_client=httpx.AsyncClient())
