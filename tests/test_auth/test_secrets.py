"""No secret in a log at DEBUG, a repr, an exception, its chain, or the frames that it went through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from pydantic import SecretStr

import cl_client
from cl_client import (
    AuthClient,
    ComputeClient,
    ComputeClientConfig,
    ComputeClientError,
    JWTAuthProvider,
    PasswordAuthProvider,
    Session,
    TokenStore,
)
from cl_client.local import LocalServer
from keyrings import MemoryKeyring, using
from scripted_auth import ScriptedAuth, unsigned_token
from support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Generator
    from types import TracebackType

SOURCE = str(Path(cl_client.__file__).parent)
CONFIG = ComputeClientConfig.create(mqtt_broker="off", max_retries=1)


class Leaks:
    """Gathers whatever could show a secret to somebody."""

    def __init__(self) -> None:
        self.password = secrets.token_hex()
        self.tokens: list[str] = []
        self.shown: list[str] = []

    def show(self, *things: object) -> None:
        self.shown += [text for thing in things for text in (repr(thing), str(thing))]

    async def failure_of(self, call: Awaitable[object]) -> None:
        """What an error shows that has to come."""
        with pytest.raises(ComputeClientError) as caught:
            await call
        self.shown += traceback.format_exception(caught.value)
        error: BaseException | None = caught.value
        while error is not None:
            self.show(error, error.args, vars(error))
            self.shown += _locals(error.__traceback__)
            self.shown += _bodies(error)
            error = error.__cause__ or error.__context__

    def found(self) -> list[str]:
        return [
            text for text in self.shown if any(one and one in text for one in (self.password, *self.tokens))
        ]


def _bodies(error: BaseException) -> Generator[str]:
    """What an error of httpx, or of this library, knows of the request that it is about."""
    if isinstance(error, httpx.HTTPStatusError | httpx.RequestError):
        with contextlib.suppress(RuntimeError):  # there is none
            requests = [error.request]
            requests += [error.response.request] if isinstance(error, httpx.HTTPStatusError) else []
            streams = (one.stream for one in requests)
            yield from (str(b"".join(one)) for one in streams if isinstance(one, httpx.SyncByteStream))


def _locals(trace: TracebackType | None) -> Generator[str]:
    """The variables of this library's frames, as error reporters show them."""
    while trace is not None:
        frame, trace = trace.tb_frame, trace.tb_next
        if frame.f_code.co_filename.startswith(SOURCE):
            variables = cast("dict[str, object]", frame.f_locals)
            yield from (f"{frame.f_code.co_name} {name} = {value!r}" for name, value in variables.items())


@pytest.fixture
async def leaks(caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Leaks]:
    """Checked at the end of the test."""
    caplog.set_level(logging.DEBUG)
    gathered = Leaks()
    yield gathered
    records, formatter = caplog.get_records("call"), logging.Formatter()
    gathered.shown += [formatter.format(record) for record in records]
    gathered.shown += [repr(vars(record)) for record in records]
    assert len(records) > 5
    assert gathered.found() == []


async def test_a_real_session_shows_none(leaks: Leaks, tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    with using(MemoryKeyring()):
        async with LocalServer(auth=True, workers=1, tasks=["hash"], admin_password=leaks.password) as server:
            leaks.tokens.append(server.issue_token())
            session = await Session.login(
                server.auth_url, "admin", leaks.password, base_url=server.base_url, config=CONFIG, store=store
            )
            leaks.tokens.append(session.auth_provider.get_headers()["Authorization"].removeprefix("Bearer "))
            leaks.show(session, session.auth_provider, session.auth_provider.mqtt_credentials())
            async with session.compute_client() as client, session.auth_client() as auth:
                leaks.show(client, auth, await client.hash.compute(b"x", wait=True), await auth.me())
                user = await auth.create_user("x", leaks.password)
                await leaks.failure_of(auth.create_user("x", leaks.password))
                await leaks.failure_of(auth.update_user(99, password=leaks.password))
                await leaks.failure_of(auth.verify_token(leaks.tokens[0][:-20] + "A" * 20))
                await leaks.failure_of(auth.login("nobody", leaks.password))
                await leaks.failure_of(
                    Session.login(server.auth_url, "nobody", leaks.password, config=CONFIG, store=store)
                )
                leaks.show(user, await auth.refresh(), await store.load(server.auth_url))
                await session.logout()
                await leaks.failure_of(client.get_job("j"))


async def test_services_that_fail_in_every_way_show_none(leaks: Leaks) -> None:
    leaks.tokens.append(token := unsigned_token(id="1", exp=10.0**10))
    whole = b'{"access_token": "%s", "token_type": "bearer"}' % token.encode()
    async with ScriptedAuth() as server:
        await leaks.failure_of(_get_job(server, server.url, leaks))
        server.hangs.add("/auth/token")
        await leaks.failure_of(_get_job(server, server.url, leaks))
        server.release()
        answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + whole,
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(whole) + 1, whole + b"x"),
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
            % (len(whole), whole),
            b"HTTP/1.1 307 Elsewhere\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            b"nonsense\r\n\r\n",
            # The last one is good, and the compute service refuses what it gives.
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(whole), whole),
        ]
        for answer in answers:
            server.answers["/auth/token"] = answer
            await leaks.failure_of(_get_job(server, server.url, leaks))
    await leaks.failure_of(_get_job(server, f"http://127.0.0.1:{free_port()}", leaks))


async def _get_job(compute: ScriptedAuth, auth_url: str, leaks: Leaks) -> None:
    provider = PasswordAuthProvider(auth_url, "me", SecretStr(leaks.password), timeout=0.5, retry_for=0.3)
    leaks.show(provider)
    config = CONFIG.replace(base_url=compute.url)
    async with ComputeClient(config=config, auth_provider=provider) as client:
        await client.get_job("j")


async def test_a_token_that_is_refused_is_not_shown(leaks: Leaks) -> None:
    leaks.tokens.append(token := secrets.token_hex())
    provider = JWTAuthProvider(token, username="me")
    leaks.show(provider, provider.mqtt_credentials())
    async with (
        ScriptedAuth() as server,
        ComputeClient(config=CONFIG.replace(base_url=server.url), auth_provider=provider) as client,
    ):
        await asyncio.gather(*(leaks.failure_of(client.get_job(f"j{n}")) for n in range(3)))
    await leaks.failure_of(asyncio.to_thread(JWTAuthProvider, f"{token} {token}"))


async def test_a_login_by_hand_is_not_shown(leaks: Leaks) -> None:
    async with ScriptedAuth() as server, AuthClient(server.url) as auth:
        await leaks.failure_of(auth.login("me", SecretStr(leaks.password)))
        server.answers["/auth/token"] = b"HTTP/1.1 302 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
        await leaks.failure_of(auth.login("me", SecretStr(leaks.password)))
