"""`PasswordAuthProvider`: one login for all, in time, through outages, and whatever the clocks show."""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from typing import TYPE_CHECKING

import pytest

from cl_client import (
    AuthenticationError,
    ComputeClient,
    ComputeClientConfig,
    ConfigurationError,
    InvalidResponseError,
    JobNotFoundError,
    MQTTCredentials,
    PasswordAuthProvider,
    RequestTimeoutError,
    ServerUnavailableError,
)
from cl_client.local import LocalServer
from cl_client.local.net.tls import ServerTLS
from cl_client.testing import FaultProxy
from patience import BRIEF, SECONDS, soon, within
from scripted_auth import PASSWORD, ScriptedAuth
from support import free_port, heard

if TYPE_CHECKING:
    from cl_client import AuthProvider
    from support import TLSFiles

LOGIN, REFRESH = "/auth/token", "/auth/token/refresh"


def client_of(url: str, provider: AuthProvider, **settings: object) -> ComputeClient:
    values: dict[str, object] = {"base_url": url, "mqtt_broker": "off", **settings}
    return ComputeClient(config=ComputeClientConfig.create(**values), auth_provider=provider)


def provider_of(server: ScriptedAuth, timeout: float = 10.0, retry_for: float = 30.0) -> PasswordAuthProvider:
    return PasswordAuthProvider(server.url, "me", PASSWORD, timeout=timeout, retry_for=retry_for)


def url_of(proxy: FaultProxy) -> str:
    return proxy.client().config.base_url


async def get_many(client: ComputeClient, count: int = 500) -> list[BaseException]:
    """Read as many jobs at once; what was raised."""
    outcomes = await asyncio.gather(*(client.get_job(f"j{n}") for n in range(count)), return_exceptions=True)
    return [outcome for outcome in outcomes if isinstance(outcome, BaseException)]


async def test_500_first_calls_log_in_once() -> None:
    async with ScriptedAuth() as server, client_of(server.url, provider_of(server)) as client:
        assert not await get_many(client)
    assert server.calls[LOGIN] == 1
    assert server.refused.total() == 0


async def test_500_calls_whose_token_is_revoked_in_the_middle_log_in_once_more_and_none_fails() -> None:
    async with ScriptedAuth() as server, client_of(server.url, provider_of(server)) as client:
        calls = asyncio.create_task(get_many(client))
        await server.called("/jobs/j250")
        server.revoke()
        assert not await calls
    assert (server.calls[REFRESH], server.calls[LOGIN]) == (1, 2)
    assert server.refused["/jobs/j499"] + server.refused["/jobs/j498"] <= 2


async def test_a_refused_password_is_tried_once_for_500_calls_and_says_the_servers_words() -> None:
    async with LocalServer(auth=True, workers=1, tasks=["hash"]) as server, FaultProxy(server) as proxy:
        compute_url = server.base_url
        proxy.aim(server.auth_url)
        provider = PasswordAuthProvider(url_of(proxy), "admin", "wrong")
        async with client_of(compute_url, provider) as client:
            failures = await get_many(client)
    assert len(failures) == 500
    assert {type(failure) for failure in failures} == {AuthenticationError}
    assert "Incorrect username or password" in str(failures[0])
    assert len(proxy.requests) == 1


async def test_real_tokens_are_renewed_as_often_as_they_expire_without_a_failure() -> None:
    # Two minutes ahead, the server lets every token live longer than it does: only the 401 tells.
    async with (
        LocalServer(auth=True, workers=1, tasks=["hash"], token_lifetime=1, clock_offset=120) as server,
        FaultProxy(server) as proxy,
    ):
        compute_url = server.base_url
        proxy.aim(server.auth_url)
        provider = PasswordAuthProvider(url_of(proxy), "admin", "admin")
        async with client_of(compute_url, provider) as client, within():
            calls = 0
            while len(proxy.requests) < 5:  # a login, then a refused refresh and a login, twice
                with pytest.raises(JobNotFoundError):
                    await client.get_job("nope")
                calls += 1
    assert calls > 3


async def test_a_real_token_is_refreshed_before_it_expires() -> None:
    async with (
        LocalServer(auth=True, workers=1, tasks=["hash"], token_lifetime=10) as server,
        FaultProxy(server) as proxy,
    ):
        compute_url = server.base_url
        proxy.aim(server.auth_url)
        # A fifth of the lifetime is the most that the margin takes: the token is due after eight seconds.
        provider = PasswordAuthProvider(url_of(proxy), "admin", "admin")
        async with client_of(compute_url, provider) as client, within():
            while len(proxy.requests) < 2:
                with pytest.raises(JobNotFoundError):
                    await client.get_job("nope")
    assert [head.split(b" ")[1].decode() for head in proxy.requests] == [LOGIN, REFRESH]


@pytest.mark.parametrize("offset", [-120.0, 120.0])
@pytest.mark.parametrize("says", ["Date", "iat"])
async def test_a_clock_that_is_two_minutes_off_changes_nothing(offset: float, says: str) -> None:
    server = ScriptedAuth(100.0, offset, says_date=says == "Date", says_iat=says == "iat")
    async with server, client_of(server.url, provider_of(server)) as client:
        for _ in range(20):
            await client.get_job("j")
    # By this machine's clock the token would be over before it began, or count for more than twice its time.
    assert (server.calls[LOGIN], server.calls[REFRESH], server.refused.total()) == (1, 0, 0)


@pytest.mark.parametrize("offset", [-120.0, 120.0])
async def test_a_server_that_tells_neither_its_time_nor_the_tokens_beginning_is_not_asked_for_ever(
    offset: float,
) -> None:
    async with (
        ScriptedAuth(100.0, offset, says_date=False) as server,
        client_of(server.url, provider_of(server)) as client,
    ):
        for _ in range(20):
            await client.get_job("j")
        server.revoke()
        await client.get_job("j")
    assert (server.calls[LOGIN], server.calls[REFRESH]) == (2, 1)


async def test_a_token_that_is_none_is_used_until_it_is_refused() -> None:
    async with ScriptedAuth() as server, client_of(server.url, provider_of(server)) as client:
        body = b'{"access_token": "opaque", "token_type": "bearer"}'
        server.answers[LOGIN] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with pytest.raises(AuthenticationError, match="Could not validate credentials"):
            await client.get_job("j")
    assert (server.calls[LOGIN], server.calls[REFRESH], server.refused["/jobs/j"]) == (2, 1, 1)


async def test_a_hanging_login_ends_by_its_own_timeout_and_names_the_auth_service() -> None:
    async with ScriptedAuth() as server:
        server.hangs.add(LOGIN)
        provider = provider_of(server, timeout=0.2, retry_for=BRIEF)
        async with client_of(server.url, provider, max_retries=0) as client:
            with pytest.raises(ServerUnavailableError, match=f"auth service {server.url}"):
                await client.get_job("j")
        assert server.calls[LOGIN] > 1
        with pytest.raises(RequestTimeoutError, match="timed out after"):
            await provider.refresh_token()


async def test_a_hanging_refresh_ends_and_is_tried_again() -> None:
    async with ScriptedAuth() as server:
        provider = provider_of(server, timeout=BRIEF)
        async with client_of(server.url, provider) as client:
            await client.get_job("j")
            server.hangs.add(REFRESH)
            server.revoke()
            calls = asyncio.create_task(get_many(client, 50))
            await server.called(REFRESH, 2)
            server.release()
            assert not await calls
    assert server.calls[LOGIN] == 2


async def test_a_cancelled_call_does_not_end_the_login_for_the_others() -> None:
    async with ScriptedAuth() as server:
        server.hangs.add(LOGIN)
        async with client_of(server.url, provider_of(server, timeout=SECONDS)) as client:
            first, *others = (asyncio.create_task(client.get_job(f"j{n}")) for n in range(20))
            await server.called(LOGIN)
            first.cancel()
            server.release()
            assert len(await asyncio.gather(*others)) == 19
            assert first.cancelled()


async def test_calls_without_a_token_wait_for_an_auth_service_that_comes_back() -> None:
    async with ScriptedAuth() as compute, ScriptedAuth(tokens=compute.tokens) as server:
        await server.stop()
        with heard("cl_client.auth", "attempt 1 to get a token failed") as failed:
            async with client_of(compute.url, provider_of(server), max_retries=0) as client:
                calls = asyncio.create_task(get_many(client, 200))
                await soon(failed.wait())
                await server.start()
                assert not await calls
    assert server.calls[LOGIN] == 1
    assert compute.refused.total() == 0


async def test_an_auth_service_that_stays_away_is_given_up_once_for_all_that_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "cl_client.auth")
    url = f"http://127.0.0.1:{free_port()}"
    provider = PasswordAuthProvider(url, "me", PASSWORD, retry_for=0.5)
    async with ScriptedAuth() as compute, client_of(compute.url, provider) as client:
        failures = await get_many(client, 200)
    assert len(failures) == 200
    assert {type(failure) for failure in failures} == {ServerUnavailableError}
    assert all(f"Auth service {url}" in str(failure) for failure in failures)
    first = [record for record in caplog.records if "attempt 1 to get a token failed" in record.message]
    assert len(first) == 1


async def test_an_answer_that_is_no_token_is_an_error_that_does_not_show_it() -> None:
    async with ScriptedAuth() as server, client_of(server.url, provider_of(server)) as client:
        body = b'{"access_token": "%s", "token_type": 7}' % (token := secrets.token_hex()).encode()
        server.answers[LOGIN] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with pytest.raises(InvalidResponseError, match="not a valid response of an auth service") as caught:
            await client.get_job("j")
    assert token not in "".join(traceback.format_exception(caught.value))


async def test_a_redirected_login_does_not_send_the_password_on() -> None:
    async with ScriptedAuth() as server, ScriptedAuth() as other:
        location = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {other.url}/auth/token\r\n"
        server.answers[LOGIN] = f"{location}Content-Length: 0\r\n\r\n".encode()
        async with client_of(server.url, provider_of(server)) as client:
            with pytest.raises(Exception, match="redirected"):
                await client.get_job("j")
        assert not other.calls


async def test_an_auth_service_behind_tls(tls_files: TLSFiles) -> None:
    tls = ServerTLS(tls_files.server_cert, tls_files.server_key)
    async with LocalServer(auth=True, workers=1, tasks=["hash"], tls=tls) as server:
        trusting = ComputeClientConfig.create(ca_file=tls_files.ca)
        provider = PasswordAuthProvider(server.auth_url, "admin", "admin", config=trusting)
        async with client_of(server.base_url, provider, ca_file=tls_files.ca) as client:
            with pytest.raises(JobNotFoundError):
                await client.get_job("nope")
        stranger = PasswordAuthProvider(server.auth_url, "admin", "admin", retry_for=0.1)
        async with client_of(server.base_url, stranger, ca_file=tls_files.ca) as client:
            with pytest.raises(ServerUnavailableError, match="certificate"):
                await client.get_job("nope")


def test_one_provider_serves_several_loops_in_turn() -> None:
    port = free_port()
    provider = PasswordAuthProvider(f"http://127.0.0.1:{port}", "me", PASSWORD)

    async def run() -> None:
        server = ScriptedAuth()
        server.port = port
        async with server, client_of(server.url, provider) as client:
            await client.get_job("j")

    for _ in range(3):
        asyncio.run(run())


async def test_what_the_broker_is_shown() -> None:
    async with ScriptedAuth() as server:
        provider = provider_of(server)
        assert provider.mqtt_credentials() is None
        await provider.prepare()
        token = provider.get_headers()["Authorization"].removeprefix("Bearer ")
        shown = provider.mqtt_credentials()
        assert isinstance(shown, MQTTCredentials)
        assert (shown.username, shown.password.get_secret_value()) == ("me", token)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auth_url": "server:8000"}, "auth_url: must start with http:// or https://"),
        ({"auth_url": "http://me:hidden@server"}, "auth_url: must not contain a user name or password"),
        ({"username": ""}, "username: must not be empty"),
        ({"timeout": 0.0}, "timeout"),
        ({"retry_for": 0.0}, "retry_for=0.0: must be above 0"),
        ({"refresh_margin": -1.0}, "refresh_margin=-1.0: must be above 0"),
    ],
)
def test_unusable_settings_are_named(settings: dict[str, str | float], message: str) -> None:
    values = {"auth_url": "http://server", "username": "me", "password": "pw", **settings}
    with pytest.raises(ConfigurationError, match=message) as caught:
        PasswordAuthProvider(**values)  # pyright: ignore[reportArgumentType] - that is what is tested
    assert "hidden" not in str(caught.value)


def test_making_one_needs_no_loop_and_shows_no_password() -> None:
    provider = PasswordAuthProvider("http://server:8000/", "me", "hidden")
    assert repr(provider) == "PasswordAuthProvider('http://server:8000', 'me', password=***)"
    assert provider.get_headers() == {}
