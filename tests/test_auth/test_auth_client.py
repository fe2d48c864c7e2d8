"""`AuthClient`: tokens and users of an auth service, and its signatures checked without asking it."""

from __future__ import annotations

import time
import uuid
from datetime import UTC
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import SecretStr, ValidationError

from cl_client import (
    AuthClient,
    AuthenticationError,
    ComputeClientError,
    InvalidParameterError,
    InvalidRequestError,
    InvalidResponseError,
    InvalidTokenError,
    JWTAuthProvider,
    PasswordAuthProvider,
    PermissionDeniedError,
    PublicKey,
    ServerUnavailableError,
    User,
)
from cl_client.local import LocalServer
from cl_client.testing import FaultProxy, cut
from patience import BRIEF
from scripted_auth import PASSWORD, ScriptedAuth, unsigned_token
from support import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

PERMISSION = "ai_inference_support"


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    with LocalServer(auth=True, workers=1, tasks=["hash"]) as running:
        yield running


def admin_of(server: LocalServer) -> AuthClient:
    return AuthClient(server.auth_url, JWTAuthProvider(server.issue_token()))


def new_name() -> str:
    return f"user-{uuid.uuid4().hex[:8]}"


async def test_whoever_logs_in_goes_on_with_the_token(server: LocalServer) -> None:
    async with AuthClient(server.auth_url) as auth:
        token = await auth.login("admin", "admin")
        assert (await auth.me()).username == "admin"
        renewed = await auth.refresh()
    assert token.token_type == "bearer"
    assert (token.lifetime or 0) == pytest.approx(1800, abs=5)
    assert (token.expires_at or 0) == pytest.approx(time.time() + 1800, abs=30)
    assert not renewed.is_expired
    assert token.access_token.get_secret_value() not in repr(token)


@pytest.mark.parametrize("offset", [-120.0, 120.0])
@pytest.mark.parametrize("says", ["Date", "iat"])
async def test_a_tokens_lifetime_is_measured_by_the_servers_own_clock(offset: float, says: str) -> None:
    server = ScriptedAuth(600.0, offset, says_date=says == "Date", says_iat=says == "iat")
    async with server, AuthClient(server.url) as auth:
        token = await auth.login("me", PASSWORD)
    assert token.lifetime == pytest.approx(600, abs=1.5)  # dates are whole seconds
    assert token.expires_at == pytest.approx(time.time() + 600, abs=20)


async def test_a_login_changes_nothing_for_a_client_that_has_a_provider(server: LocalServer) -> None:
    async with admin_of(server) as admin:
        user = await admin.create_user(new_name(), "first")
        await admin.login(user.username, "first")
        assert (await admin.me()).username == "admin"


async def test_a_client_logs_in_with_the_provider_that_it_was_given(server: LocalServer) -> None:
    provider = PasswordAuthProvider(server.auth_url, "admin", SecretStr("admin"))
    async with AuthClient(server.auth_url, provider) as auth:
        assert (await auth.me()).is_admin


async def test_a_user_from_beginning_to_end(server: LocalServer) -> None:
    name = new_name()
    async with admin_of(server) as auth:
        made = await auth.create_user(name, "first", permissions=["a", PERMISSION])
        assert (made.username, made.is_admin, made.is_active) == (name, False, True)
        assert made.permissions == ("a", PERMISSION)
        assert made.created_at is not None
        assert made.created_at.tzinfo is UTC
        assert await auth.get_user(made.id) == made

        changed = await auth.update_user(made.id, password=SecretStr("second"), permissions=["a"])
        assert changed.permissions == ("a",)
        with pytest.raises(AuthenticationError, match="Incorrect username or password"):
            await auth.login(name, "first")
        await auth.login(name, "second")

        assert not (await auth.update_user(made.id, is_active=False)).is_active
        with pytest.raises(AuthenticationError):
            await auth.login(name, "second")
        assert (await auth.update_user(made.id, is_active=True, is_admin=True)).is_admin

        await auth.delete_user(made.id)
        with pytest.raises(InvalidRequestError, match="User not found"):
            await auth.get_user(made.id)


async def test_a_deletion_whose_answer_was_lost_is_one(server: LocalServer) -> None:
    async with (
        FaultProxy(server.auth_url) as proxy,
        AuthClient(proxy.base_url, JWTAuthProvider(server.issue_token())) as auth,
    ):
        user = await auth.create_user(new_name(), "first")
        proxy.plan(cut(after=0))
        await auth.delete_user(user.id)
        assert [head.split(b" ")[0] for head in proxy.requests] == [b"POST", b"DELETE", b"DELETE"]
        with pytest.raises(InvalidRequestError, match="User not found"):
            await auth.delete_user(user.id)


async def test_permissions_that_the_server_keeps_are_not_reported_as_taken_away(server: LocalServer) -> None:
    async with admin_of(server) as auth:
        user = await auth.create_user(new_name(), "first", permissions=["a"])
        with pytest.raises(InvalidResponseError, match=r"has the permissions \['a'\]; expected \[\]"):
            await auth.update_user(user.id, permissions=[])


@pytest.mark.parametrize("page_size", [1, 2, 100])
async def test_every_user_is_yielded_once_whatever_the_size_of_a_page(
    server: LocalServer, page_size: int
) -> None:
    async with admin_of(server) as auth:
        names = {(await auth.create_user(new_name(), "first")).username for _ in range(3)}
        users = [user async for user in auth.users(page_size=page_size)]
        assert names < {user.username for user in users}
        assert len({user.id for user in users}) == len(users)
        assert await auth.list_users(1, 2) == users[1:3]


async def test_refusals_are_errors_with_the_servers_words(server: LocalServer) -> None:
    async with admin_of(server) as auth:
        user = await auth.create_user(new_name(), "first")
        with pytest.raises(InvalidRequestError, match="Username already registered"):
            await auth.create_user(user.username, "first")
    async with AuthClient(server.auth_url) as auth:
        with pytest.raises(AuthenticationError, match="Not authenticated"):
            await auth.me()
        await auth.login(user.username, "first")
        with pytest.raises(PermissionDeniedError, match="doesn't have enough privileges"):
            await auth.list_users()


async def test_parameters_are_checked_before_anything_is_sent() -> None:
    async with AuthClient(f"http://127.0.0.1:{free_port()}") as auth:
        with pytest.raises(InvalidParameterError, match="skip=-1, limit=1: must be at least"):
            await auth.list_users(-1, 1)
        with pytest.raises(InvalidParameterError, match="'a,b' is empty or contains a comma"):
            await auth.create_user("me", "pw", permissions=["a,b"])
        with pytest.raises(InvalidParameterError, match=r"must be a list, for instance \['a'\]"):
            await auth.update_user(1, permissions="a")
        with pytest.raises(InvalidParameterError, match="leeway"):
            await auth.verify_token("x", leeway=-1)


async def test_a_client_that_is_not_open_says_so() -> None:
    auth = AuthClient("http://server")
    for _ in range(2):
        with pytest.raises(ComputeClientError, match="async with"):
            await auth.me()
        async with auth:
            pass


async def test_a_service_that_is_away_is_named_and_creating_is_not_repeated_blindly() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with AuthClient(url) as auth:
        with pytest.raises(ServerUnavailableError, match=f"Auth service {url}"):
            await auth.login("me", "pw")
    async with ScriptedAuth() as server, AuthClient(server.url, timeout=BRIEF) as auth:
        server.hangs.add("/users/")
        with pytest.raises(ServerUnavailableError):
            await auth.create_user("me", "pw")
        assert server.calls["/users/"] == 1


async def test_an_answer_of_another_shape_names_the_field_and_does_not_quote_the_body() -> None:
    async with ScriptedAuth() as server, AuthClient(server.url) as auth:
        for body in (b'{"access_token": "x\\ny"}', b'{"access_token": ""}', b"{}", b"[]", b"quoted"):
            server.answers["/auth/token"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
                len(body),
                body,
            )
            with pytest.raises(InvalidResponseError, match="/auth/token: not a valid response") as caught:
                await auth.login("me", "pw")
            assert "quoted" not in str(caught.value)


def test_a_time_with_a_zone_is_turned_into_utc_and_permissions_may_be_a_comma_list() -> None:
    user = User.model_validate(
        {"id": 1, "username": "x", "created_at": "2026-01-01T12:00:00+02:00", "permissions": "a, b"}
    )
    assert user.created_at is not None
    assert (user.created_at.hour, user.created_at.tzinfo, user.permissions) == (10, UTC, ("a", "b"))
    with pytest.raises(ValidationError, match="frozen"):
        user.username = "y"


async def test_a_token_that_counts_is_verified_with_one_read_of_the_key(server: LocalServer) -> None:
    async with FaultProxy(server) as proxy:
        url = proxy.client().config.base_url
        proxy.aim(server.auth_url)
        async with AuthClient(url) as auth:
            claims = [await auth.verify_token(server.issue_token()) for _ in range(3)][-1]
    assert (claims.id, claims.is_admin, claims.permissions) == ("1", True, ("*",))
    assert claims.exp > time.time()
    assert len(proxy.requests) == 1


async def test_an_expired_token_counts_within_the_leeway_only(server: LocalServer) -> None:
    token = server.issue_token(lifetime=-10)
    async with AuthClient(server.auth_url) as auth:
        with pytest.raises(InvalidTokenError, match="has expired"):
            await auth.verify_token(token)
        assert (await auth.verify_token(SecretStr(token), leeway=60)).id == "1"


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


async def test_forged_tokens_do_not_count(server: LocalServer) -> None:
    claims = {"id": "1", "is_admin": True, "exp": time.time() + 600}
    async with AuthClient(server.auth_url) as auth:
        stranger = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256")
        with pytest.raises(InvalidTokenError, match="signature is invalid for the auth service at"):
            await auth.verify_token(stranger)
        for forged in (
            jwt.encode(claims, "", "none"),
            jwt.encode(claims, "x" * 32, "HS256"),
            unsigned_token(id="1", exp=time.time() + 600),
            "no.token",
            "",
        ):
            with pytest.raises(InvalidTokenError) as caught:
                await auth.verify_token(forged)
            assert not forged or forged not in str(caught.value)


@pytest.mark.parametrize("missing", ["id", "exp"])
async def test_a_token_without_a_claim_that_it_needs_does_not_count(missing: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    claims = {"id": "1", "exp": time.time() + 600}
    del claims[missing]
    async with ScriptedAuth() as server, AuthClient(server.url) as auth:
        server.answers["/auth/public-key"] = key_answer(pem_of(key))
        with pytest.raises(InvalidTokenError, match="The token is invalid"):
            await auth.verify_token(jwt.encode(claims, key, "ES256"))


async def test_a_new_key_is_read_once_when_a_signature_does_not_fit() -> None:
    old, new = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    claims = {"sub": "7", "exp": time.time() + 600, "iat": time.time() + 120}
    async with ScriptedAuth() as server, AuthClient(server.url) as auth:
        server.answers["/auth/public-key"] = key_answer(pem_of(old))
        assert (await auth.verify_token(jwt.encode(claims, old, "ES256"))).id == "7"
        server.answers["/auth/public-key"] = key_answer(pem_of(new))
        assert (await auth.verify_token(jwt.encode(claims, new, "ES256"))).id == "7"
        assert server.calls["/auth/public-key"] == 2
        with pytest.raises(InvalidTokenError, match="signature"):
            await auth.verify_token(jwt.encode(claims, old, "ES256"))
        assert server.calls["/auth/public-key"] == 3


@pytest.mark.parametrize(
    ("pem", "algorithm"),
    [
        ("no key", "ES256"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "ES256"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "ES256"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "none"),
    ],
    ids=["no key", "another curve's", "a longer one", "for no algorithm"],
)
async def test_a_key_that_is_none_for_es256_is_the_services_fault(pem: str, algorithm: str) -> None:
    token = jwt.encode({"id": "1", "exp": 1}, ec.generate_private_key(ec.SECP256R1()), "ES256")
    async with ScriptedAuth() as server, AuthClient(server.url) as auth:
        server.answers["/auth/public-key"] = key_answer(pem, algorithm)
        with pytest.raises(InvalidResponseError, match="auth service"):
            await auth.verify_token(token)


def key_answer(pem: str, algorithm: str = "ES256") -> bytes:
    body = PublicKey(public_key=pem, algorithm=algorithm).model_dump_json().encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def test_an_empty_password_is_refused_before_it_is_sent() -> None:
    async with AuthClient("http://127.0.0.1:1") as auth:
        with pytest.raises(InvalidParameterError, match="password: must not be empty"):
            await auth.update_user(1, password="")
