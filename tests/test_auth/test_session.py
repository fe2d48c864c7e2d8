"""`Session`: logged in once, for all clients and the next run; logged out everywhere."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from cl_client import (
    AuthenticationError,
    ComputeClientConfig,
    ConfigurationError,
    RequestTimeoutError,
    ServerUnavailableError,
    Session,
    Token,
    TokenStore,
)
from cl_client.local import LocalServer
from keyrings import MemoryKeyring, using
from patience import BRIEF
from scripted_auth import PASSWORD, ScriptedAuth
from support import free_port, heard

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LOGIN, REFRESH = "/auth/token", "/auth/token/refresh"


@pytest.fixture
def memory() -> Generator[MemoryKeyring]:
    with using(backend := MemoryKeyring()):
        yield backend


@pytest.fixture
def store(tmp_path: Path, memory: MemoryKeyring) -> TokenStore:
    """Its file is used while the keyring is locked."""
    del memory
    return TokenStore(tmp_path / "sessions")


CONFIG = ComputeClientConfig.create(mqtt_broker="off", max_retries=0)


async def login(server: ScriptedAuth, store: TokenStore) -> Session:
    return await Session.login(server.url, "me", PASSWORD, base_url=server.url, config=CONFIG, store=store)


async def load(server: ScriptedAuth, store: TokenStore, seconds: float = 10.0) -> Session:
    return await Session.load(server.url, base_url=server.url, config=CONFIG, store=store, timeout=seconds)


async def keep(server: ScriptedAuth, store: TokenStore, age: float, lifetime: float = 100.0) -> None:
    """Store a token that came so many seconds ago."""
    token = Token(access_token=SecretStr(server.issue()), received_at=time.time() - age, lifetime=lifetime)
    await store.save(server.url, "me", token, log_in=True)


@pytest.mark.parametrize("place", ["keyring", "file"])
async def test_a_real_session_from_login_to_logout(
    place: str, memory: MemoryKeyring, store: TokenStore
) -> None:
    memory.is_locked = place == "file"
    async with LocalServer(auth=True, workers=1, tasks=["hash"]) as server:
        urls = (server.auth_url, server.base_url, server.mqtt_url)
        config = ComputeClientConfig.create(mqtt_broker=urls[2])
        session = await Session.login(
            urls[0], "admin", SecretStr("admin"), base_url=urls[1], config=config, store=store
        )
        assert (session.username, session.auth_url) == ("admin", urls[0])
        assert (await session.whoami()).is_admin
        async with session.compute_client() as one, session.compute_client() as other:
            job = await one.hash.compute(b"x", wait=True)
            assert (await other.get_job(job.job_id)).status == "completed"

        later = await Session.load(urls[0], base_url=urls[1], config=config, store=store)
        assert later.username == "admin"
        async with later.compute_client() as client, later.auth_client() as auth:
            assert (await client.get_job(job.job_id)).status == "completed"
            assert [user.username async for user in auth.users()] == ["admin"]

        await later.logout()
        for call in (
            later.whoami(),
            Session.load(urls[0], store=store),
            Session.load(urls[0], "admin", store=store),
        ):
            with pytest.raises(AuthenticationError, match="log in again"):
                await call
        await later.logout()


async def test_a_client_at_another_server_has_none_of_its_secrets(
    memory: MemoryKeyring, store: TokenStore
) -> None:
    del memory
    async with ScriptedAuth() as server:
        config = CONFIG.replace(base_url=server.url, http_password="pw", extra_headers={"X-Key": "key"})
        session = await Session.login(server.url, "me", PASSWORD, config=config, store=store)
    assert session.compute_client(f"{server.url}/below").config.http_password is not None
    elsewhere = session.compute_client("http://elsewhere").config
    assert (elsewhere.http_password, elsewhere.extra_headers) == (None, {})


async def test_a_wrong_password_keeps_nothing(memory: MemoryKeyring, store: TokenStore) -> None:
    async with ScriptedAuth() as server:
        with pytest.raises(AuthenticationError, match="Incorrect username or password"):
            await Session.login(server.url, "me", "wrong", store=store)
    assert not memory.entries


async def test_logging_in_at_a_service_that_is_away_names_it(store: TokenStore) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ServerUnavailableError, match=f"Auth service {url}"):
        await Session.login(url, "me", PASSWORD, config=CONFIG, store=store)


async def test_nobody_is_logged_in_at_first(store: TokenStore) -> None:
    with pytest.raises(
        AuthenticationError, match="http://server: no user is logged in; log in again"
    ) as caught:
        await Session.load("http://server", store=store)
    assert caught.value.status_code == 401
    with pytest.raises(AuthenticationError, match="'me' is not logged in"):
        await Session.load("http://server/", "me", store=store)


async def test_a_login_that_cannot_be_kept_says_so(memory: MemoryKeyring, tmp_path: Path) -> None:
    memory.is_locked = True
    (tmp_path / "file").write_bytes(b"")
    async with ScriptedAuth() as server:
        with pytest.raises(ConfigurationError, match="cannot be used"):
            await login(server, TokenStore(tmp_path / "file"))


async def test_all_clients_of_a_session_share_one_renewal(store: TokenStore) -> None:
    async with ScriptedAuth() as server:
        session = await login(server, store)
        async with session.compute_client() as one, session.compute_client() as other:
            server.revoke()
            await asyncio.gather(*(client.get_job(f"j{n}") for n in range(50) for client in (one, other)))
    # Revoked tokens cannot be refreshed, but this session still knows its password.
    assert (server.calls[REFRESH], server.calls[LOGIN]) == (1, 2)


async def test_a_token_that_is_due_is_refreshed_once_and_kept(store: TokenStore) -> None:
    async with ScriptedAuth() as server:
        await keep(server, store, age=95)
        session = await load(server, store)
        async with session.compute_client() as client:
            await asyncio.gather(*(client.get_job(f"j{n}") for n in range(100)))
        assert (server.calls[REFRESH], server.calls[LOGIN], server.refused.total()) == (1, 0, 0)
        found = await store.load(server.url)
        assert found is not None
        assert found[1].access_token.get_secret_value() == server.latest


async def test_calls_whose_token_still_counts_go_on_while_the_auth_service_is_down(
    store: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedAuth() as compute, ScriptedAuth(tokens=compute.tokens) as server:
        await keep(server, store, age=95)
        session = await load(server, store)
        await server.stop()
        async with session.compute_client(compute.url) as client:
            await asyncio.gather(*(client.get_job(f"j{n}") for n in range(100)))
            warnings = [record for record in caplog.records if "is still valid" in record.message]
            assert len(warnings) == 1
            assert compute.refused.total() == 0


async def test_calls_whose_token_still_counts_do_not_wait_for_a_refresh_that_hangs(store: TokenStore) -> None:
    async with ScriptedAuth() as compute, ScriptedAuth(tokens=compute.tokens) as server:
        await keep(server, store, age=95)
        server.hangs.add(REFRESH)
        session = await load(server, store, seconds=BRIEF)
        async with session.compute_client(compute.url) as client:
            first = asyncio.create_task(client.get_job("j"))
            await server.called(REFRESH)
            await asyncio.gather(*(client.get_job(f"j{n}") for n in range(50)))
            assert not first.done()
            await first
        assert (server.calls[REFRESH], compute.refused.total()) == (1, 0)


async def test_whoever_needs_the_token_that_an_early_refresh_did_not_get_tries_again(
    store: TokenStore,
) -> None:
    async with ScriptedAuth() as compute, ScriptedAuth(tokens=compute.tokens) as server:
        await keep(server, store, age=95)
        server.hangs.add(REFRESH)
        session = await load(server, store, seconds=BRIEF)
        async with session.compute_client(compute.url) as client:
            early = asyncio.create_task(client.get_job("early"))
            await server.called(REFRESH)
            held, compute.tokens = compute.tokens, set()  # refused by the compute service alone
            refused = [asyncio.create_task(client.get_job(f"j{n}")) for n in range(20)]
            await compute.called("/jobs/j19")
            server.hangs.clear()
            compute.tokens = held
            await asyncio.gather(early, *refused)
        assert compute.refused
        assert server.calls[REFRESH] == 2


async def test_the_timeout_is_that_of_every_request_to_the_auth_service(store: TokenStore) -> None:
    async with ScriptedAuth() as server:
        await keep(server, store, age=1)
        server.hangs.add("/users/me")
        session = await load(server, store, seconds=0.1)
        with pytest.raises(RequestTimeoutError):
            async with asyncio.timeout(5):  # half of the default one
                await session.whoami()


async def test_a_session_that_is_too_old_says_to_log_in_again(store: TokenStore) -> None:
    async with ScriptedAuth() as server:
        await keep(server, store, age=101)
        session = await load(server, store)
        with pytest.raises(
            AuthenticationError, match=f"{server.url}: the session of 'me' has expired.*log in"
        ):
            await session.whoami()
        assert not server.calls


async def test_a_session_whose_token_is_refused_says_the_servers_words(store: TokenStore) -> None:
    async with ScriptedAuth() as server:
        await keep(server, store, age=0)
        server.revoke()
        session = await load(server, store)
        async with session.compute_client() as client:
            with pytest.raises(AuthenticationError, match=r"expired \(Could not validate.*log in again"):
                await client.get_job("j")


async def test_a_token_that_another_process_has_renewed_is_taken_over(store: TokenStore) -> None:
    async with ScriptedAuth() as server:
        await keep(server, store, age=101)
        session = await load(server, store)
        await login(server, store)  # elsewhere
        assert (await session.whoami()).username == "me"
        assert (server.calls[REFRESH], server.calls[LOGIN]) == (0, 1)


async def test_logging_out_also_undoes_a_refresh_that_is_under_way(
    memory: MemoryKeyring, store: TokenStore
) -> None:
    async with ScriptedAuth() as compute, ScriptedAuth() as server:
        session = await login(server, store)
        server.hangs.add(REFRESH)
        async with session.compute_client(compute.url) as client:
            call = asyncio.create_task(client.get_job("j"))
            await server.called(REFRESH)
            await session.logout()
            assert session.auth_provider.get_headers() == {}
            assert session.auth_provider.mqtt_credentials() is None
            server.release()
            with pytest.raises(AuthenticationError, match="'me' has logged out; log in again"):
                await call
            with pytest.raises(AuthenticationError, match="'me' has logged out; log in again"):
                await client.get_job("k")
        assert session.auth_provider.get_headers() == {}
        assert compute.calls == {"/jobs/j": 1}
    assert not memory.entries


async def test_a_renewed_token_that_cannot_be_kept_is_used_all_the_same(
    memory: MemoryKeyring, tmp_path: Path
) -> None:
    store = TokenStore(tmp_path / "file")
    async with ScriptedAuth() as server:
        session = await login(server, store)
        memory.is_locked = True
        (tmp_path / "file").write_bytes(b"")
        server.revoke()
        with heard("cl_client.auth", "the renewed token of me could not be stored") as warned:
            await session.whoami()
        assert warned.is_set()


async def test_the_password_is_kept_nowhere(memory: MemoryKeyring, store: TokenStore, tmp_path: Path) -> None:
    async with ScriptedAuth() as server:
        for memory.is_locked in (False, True):
            session = await login(server, store)
            server.revoke()
            await session.whoami()
    kept = [*memory.entries.values(), *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    assert len(kept) > 3
    assert not [text for text in kept if PASSWORD in text]
    assert PASSWORD not in repr(session)
    assert PASSWORD not in repr(session.auth_provider)
