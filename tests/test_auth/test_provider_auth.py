"""What every provider gets, also one of the user's own: one renewal for all, one replay, one server."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
from typing_extensions import override

from cl_client import (
    AuthenticationError,
    AuthProvider,
    ComputeClient,
    ComputeClientConfig,
    ConfigurationError,
    JobNotFoundError,
    JWTAuthProvider,
)
from cl_client._http.auth_flow import ProviderAuth
from cl_client.local import LocalServer
from patience import soon
from scripted_auth import ScriptedAuth

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

PATH = "/jobs/j"


class OwnProvider(AuthProvider):
    """As a user would write one; its `__init__` does not call the base's."""

    def __init__(self, server: ScriptedAuth) -> None:
        self.server = server
        self.token = "old"
        self.refreshes = 0
        self.begun = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    @override
    def get_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @override
    async def refresh_token(self) -> None:
        self.refreshes += 1
        self.begun.set()
        await self.may_go_on.wait()
        self.token = self.server.issue()


@pytest.fixture
async def server() -> AsyncGenerator[ScriptedAuth]:
    async with ScriptedAuth() as running:
        yield running


def client_of(server: ScriptedAuth, provider: AuthProvider) -> ComputeClient:
    config = ComputeClientConfig.create(base_url=server.url, mqtt_broker="off", max_retries=0)
    return ComputeClient(config=config, auth_provider=provider)


async def test_500_calls_with_a_real_token_that_expires_in_the_middle_renew_once() -> None:
    class Renewed(AuthProvider):
        def __init__(self, server: LocalServer) -> None:
            self.server = server
            self.token = server.issue_token(lifetime=1)
            self.refreshes = 0

        @override
        def get_headers(self) -> dict[str, str]:
            return {"Authorization": f"Bearer {self.token}"}

        @override
        async def refresh_token(self) -> None:
            self.refreshes += 1
            self.token = await asyncio.to_thread(self.server.issue_token)

    async def calls_until_after_the_renewal(client: ComputeClient, job_id: str) -> int:
        calls = 0
        while True:
            last = provider.refreshes > 0
            with pytest.raises(JobNotFoundError):
                await client.get_job(job_id)
            calls += 1
            if last:
                return calls

    async with LocalServer(auth=True, workers=1, tasks=["hash"]) as server:
        provider = Renewed(server)
        async with server.client(auth_provider=provider) as client:
            calls = await asyncio.gather(
                *(calls_until_after_the_renewal(client, f"j{n}") for n in range(500))
            )
    assert provider.refreshes == 1
    assert min(calls) >= 1


async def test_one_renewal_serves_all_clients_that_share_a_provider(server: ScriptedAuth) -> None:
    provider = OwnProvider(server)
    async with client_of(server, provider) as one, client_of(server, provider) as other:
        await asyncio.gather(*(client.get_job(f"j{n}") for n in range(50) for client in (one, other)))
    assert provider.refreshes == 1


async def test_a_401_for_a_token_that_was_replaced_meanwhile_replays_without_another_renewal() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keeps back the refusal of the slow request until the fast one has renewed."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                good = b"Bearer old\r" not in head
                if not good and b"/slow" in head:
                    slow_is_there.set()
                    await renewed.wait()
                status = b"200 OK" if good else b"401 Unauthorized"
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)
        writer.close()

    slow_is_there, renewed = asyncio.Event(), asyncio.Event()
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    issuer = ScriptedAuth()
    issuer.port = listener.sockets[0].getsockname()[1]
    provider = OwnProvider(issuer)
    async with (
        listener,
        httpx.AsyncClient(auth=ProviderAuth(provider, issuer.url), base_url=issuer.url) as http,
    ):
        slow = asyncio.create_task(http.get("/slow"))
        await soon(slow_is_there.wait())
        assert (await http.get("/fast")).status_code == 200
        renewed.set()
        assert (await slow).status_code == 200
    assert provider.refreshes == 1


async def test_headers_that_change_with_every_request_are_no_renewal(server: ScriptedAuth) -> None:
    class Nonces(OwnProvider):
        count = 0

        @override
        def get_headers(self) -> dict[str, str]:
            self.count += 1
            return {**super().get_headers(), "X-Nonce": str(self.count)}

    provider = Nonces(server)
    async with client_of(server, provider) as client:
        await client.get_job("j")
    assert provider.refreshes == 1


async def test_a_header_that_a_renewal_takes_away_is_not_sent_again(server: ScriptedAuth) -> None:
    class Changing(OwnProvider):
        @override
        def get_headers(self) -> dict[str, str]:
            return super().get_headers() if self.refreshes else {"X-Api-Key": "old"}

    async with httpx.AsyncClient(auth=ProviderAuth(Changing(server), server.url)) as http:
        response = await http.get(f"{server.url}/x", headers={"X-Own": "mine"})
    assert response.status_code == 200
    assert "X-Api-Key" not in response.request.headers
    assert response.request.headers["X-Own"] == "mine"


async def test_a_second_401_reaches_the_caller_in_the_servers_words(server: ScriptedAuth) -> None:
    class Useless(OwnProvider):
        @override
        async def refresh_token(self) -> None:
            await super().refresh_token()
            self.token = "useless"

    provider = Useless(server)
    async with client_of(server, provider) as client:
        with pytest.raises(AuthenticationError, match="Could not validate credentials"):
            await client.get_job("j")
    assert (provider.refreshes, server.calls[PATH]) == (1, 2)


async def test_a_token_that_cannot_be_renewed_is_not_sent_twice(server: ScriptedAuth) -> None:
    async with client_of(server, JWTAuthProvider("foreign")) as client:
        with pytest.raises(AuthenticationError, match="Could not validate credentials"):
            await client.get_job("j")
    assert server.calls[PATH] == 1


async def test_a_cancelled_caller_does_not_cancel_the_renewal_for_the_others(server: ScriptedAuth) -> None:
    provider = OwnProvider(server)
    provider.may_go_on.clear()
    async with client_of(server, provider) as client:
        first, *others = (asyncio.create_task(client.get_job(f"j{n}")) for n in range(20))
        await soon(provider.begun.wait())
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        provider.may_go_on.set()
        await asyncio.gather(*others)
    assert provider.refreshes == 1


async def test_the_last_caller_that_is_cancelled_ends_the_renewal(server: ScriptedAuth) -> None:
    ended = asyncio.Event()

    class Endless(OwnProvider):
        @override
        async def refresh_token(self) -> None:
            try:
                await super().refresh_token()
            finally:
                ended.set()

    provider = Endless(server)
    provider.may_go_on.clear()
    async with client_of(server, provider) as client:
        calls = [asyncio.create_task(client.get_job(f"j{n}")) for n in range(3)]
        await soon(provider.begun.wait())
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert ended.is_set()
        provider.may_go_on.set()
        await client.get_job("j")
    assert provider.refreshes == 2


async def test_one_failed_renewal_fails_all_that_wait_and_the_next_one_may_succeed(
    server: ScriptedAuth,
) -> None:
    class FailingOnce(OwnProvider):
        @override
        async def refresh_token(self) -> None:
            await super().refresh_token()
            if self.refreshes == 1:
                self.token = "old"
                raise ConfigurationError("no luck")

    async def count(response: httpx.Response) -> None:
        """What follows in the same turn of the loop is that its caller joins the renewal."""
        refused.append(response)
        if len(refused) == 20:
            provider.may_go_on.set()

    refused: list[httpx.Response] = []
    provider = FailingOnce(server)
    provider.may_go_on.clear()
    async with httpx.AsyncClient(
        auth=ProviderAuth(provider, server.url), base_url=server.url, event_hooks={"response": [count]}
    ) as http:
        outcomes = await asyncio.gather(*(http.get("/x") for _ in range(20)), return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["no luck"] * 20
        assert (await http.get("/x")).status_code == 200
    assert provider.refreshes == 2


def test_one_provider_serves_several_loops_in_turn() -> None:
    async def one_run() -> int:
        async with ScriptedAuth() as server:
            provider.server = server
            async with client_of(server, provider) as client:
                await asyncio.gather(*(client.get_job(f"j{n}") for n in range(10)))
        return provider.refreshes

    provider = OwnProvider(ScriptedAuth())
    assert [asyncio.run(one_run()) for _ in range(3)] == [1, 2, 3]


async def test_a_frozen_dataclass_can_be_a_provider(server: ScriptedAuth) -> None:
    @dataclass(frozen=True)
    class Frozen(AuthProvider):
        tokens: list[str]

        @override
        def get_headers(self) -> dict[str, str]:
            return {"Authorization": f"Bearer {self.tokens[-1]}"}

        @override
        async def refresh_token(self) -> None:
            self.tokens.append(server.issue())

    async with client_of(server, provider := Frozen(["old"])) as client:
        await client.get_job("j")
    assert len(provider.tokens) == 2


async def test_prepare_comes_before_every_request(server: ScriptedAuth) -> None:
    class Prepared(OwnProvider):
        @override
        async def prepare(self) -> None:
            self.token = server.issue()

    async with client_of(server, provider := Prepared(server)) as client:
        await client.get_job("j")
        server.revoke()
        await client.get_job("j")
    assert (provider.refreshes, server.refused.total()) == (0, 0)


async def test_another_server_gets_no_credentials_and_its_401_renews_nothing(server: ScriptedAuth) -> None:
    provider = OwnProvider(server)
    provider.token = server.issue()
    async with ScriptedAuth() as other, httpx.AsyncClient(auth=ProviderAuth(provider, server.url)) as http:
        refused = await http.get(f"{other.url}/x")
        assert refused.status_code == 401
        assert "Authorization" not in refused.request.headers
        assert (await http.get(f"{server.url}/x")).status_code == 200
        assert other.calls["/x"] == 1
    assert provider.refreshes == 0


async def test_a_redirect_to_another_server_drops_the_token_and_its_401_renews_nothing(
    server: ScriptedAuth,
) -> None:
    provider = OwnProvider(server)
    provider.token = server.issue()
    async with ScriptedAuth() as other:
        location = f"Location: {other.url}/x\r\nContent-Length: 0\r\n\r\n"
        server.answers["/x"] = f"HTTP/1.1 307 Temporary Redirect\r\n{location}".encode()
        async with httpx.AsyncClient(auth=ProviderAuth(provider, server.url), follow_redirects=True) as http:
            response = await http.get(f"{server.url}/x")
        assert (response.status_code, other.refused["/x"]) == (401, 1)
        assert "Authorization" not in response.request.headers
    assert provider.refreshes == 0


async def test_a_body_that_can_be_read_once_only_is_said_to_be_so(server: ScriptedAuth) -> None:
    async def body() -> AsyncGenerator[bytes]:
        yield b"x"

    async with httpx.AsyncClient(
        auth=ProviderAuth(OwnProvider(server), server.url), base_url=server.url
    ) as http:
        with pytest.raises(httpx.StreamConsumed):
            await http.post("/x", content=body(), headers={"Content-Length": "1"})


class TimedOut(AuthProvider):
    """The application's own source of secrets did not answer in time."""

    def __init__(self, step: str) -> None:
        self._step = step

    def _fail_at(self, step: str) -> None:
        if step == self._step:
            raise TimeoutError("the vault did not answer")

    @override
    async def prepare(self) -> None:
        self._fail_at("prepare")

    @override
    def get_headers(self) -> dict[str, str]:
        self._fail_at("get_headers")
        return {"Authorization": "Bearer old"}

    @override
    async def refresh_token(self) -> None:
        self._fail_at("refresh_token")


TIMED_CALLS: dict[str, Callable[[ComputeClient, float | None], Awaitable[object]]] = {
    "get_job": lambda client, seconds: client.get_job("j", timeout=seconds),
    "health": lambda client, seconds: client.health(timeout=seconds),
    "storage": lambda client, seconds: client.admin.storage(timeout=seconds),
    "submit": lambda client, seconds: client.hash.compute(b"x", timeout=seconds),
    "file": lambda client, seconds: client.read_job_file("j", "a", timeout=seconds),
}


@pytest.mark.parametrize("step", ["prepare", "get_headers", "refresh_token"])
@pytest.mark.parametrize("seconds", [None, 20.0])
@pytest.mark.parametrize("call", TIMED_CALLS)
async def test_a_providers_own_timeout_error_is_raised_as_it_is(
    server: ScriptedAuth, call: str, seconds: float | None, step: str
) -> None:
    async with client_of(server, TimedOut(step)) as client:
        with pytest.raises(TimeoutError, match="the vault did not answer") as caught:
            await TIMED_CALLS[call](client, seconds)
    assert type(caught.value) is TimeoutError
