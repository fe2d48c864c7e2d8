"""The local server's auth service: every endpoint and refusal, and what it keeps on disk."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import stat
import sys
import threading
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal, cast

import argon2
import httpx
import jwt
import pytest
from argon2.exceptions import VerifyMismatchError
from pydantic import SecretStr, TypeAdapter
from typing_extensions import override

from cl_client import ConfigurationError
from cl_client.local import LocalServer
from cl_client.local.auth.passwords import Passwords
from cl_client.models import JSONObject
from patience import SECONDS, soon

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

JSON_OBJECT = TypeAdapter(JSONObject)
USER_KEYS = ["username", "is_admin", "is_active", "id", "created_at", "permissions"]


class AuthCaller:
    """Talks plain HTTP to an auth service."""

    def __init__(self, auth_url: str) -> None:
        self.http = httpx.Client(base_url=auth_url, timeout=SECONDS)

    def read(self, method: str, path: str, token: str | None = None, **form: str) -> JSONObject:
        """What it answers to an accepted call."""
        response = self.send(method, path, token, **form)
        assert response.is_success, response.text
        return JSON_OBJECT.validate_json(response.content)

    def send(self, method: str, path: str, token: str | None = None, **form: str) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.request(method, path, data=form or None, headers=headers)

    def refusal(self, method: str, path: str, token: str | None = None, **form: str) -> tuple[int, object]:
        response = self.send(method, path, token, **form)
        return response.status_code, response.json()["detail"]

    def log_in(self, username: str, password: str) -> str:
        return str(self.read("POST", "/auth/token", username=username, password=password)["access_token"])


def faults(response: httpx.Response) -> list[JSONObject]:
    """What is wrong with a form."""
    return cast("list[JSONObject]", response.json()["detail"])


@contextmanager
def calling(server: LocalServer) -> Generator[AuthCaller]:
    caller = AuthCaller(server.auth_url)
    with caller.http:
        yield caller


def auth_server(data_dir: Path | None = None, admin_password: str | None = None) -> LocalServer:
    return LocalServer(auth=True, workers=1, tasks=["hash"], data_dir=data_dir, admin_password=admin_password)


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    with auth_server() as running:
        yield running


@pytest.fixture
def auth(server: LocalServer) -> Generator[AuthCaller]:
    with calling(server) as caller:
        yield caller


@pytest.fixture
def admin(server: LocalServer) -> str:
    return server.issue_token()


@pytest.fixture
def user(auth: AuthCaller, admin: str, request: pytest.FixtureRequest) -> Generator[JSONObject]:
    """A user without rights, called as the test is."""
    name = cast("pytest.Function", request.node).name
    created = auth.read("POST", "/users/", admin, username=name, password="first", permissions="read, write")
    yield created
    auth.send("DELETE", f"/users/{created['id']}", admin)


def test_logging_in_gives_a_token_of_30_minutes(server: LocalServer, auth: AuthCaller) -> None:
    answer = auth.read("POST", "/auth/token", username="admin", password="admin")
    token = str(answer["access_token"])
    public = auth.read("GET", "/auth/public-key")
    claims = JSON_OBJECT.validate_python(jwt.decode(token, str(public["public_key"]), algorithms=["ES256"]))

    assert answer == {"access_token": token, "token_type": "bearer"}
    assert public["algorithm"] == "ES256"
    assert str(public["public_key"]).startswith("-----BEGIN PUBLIC KEY-----")
    assert list(claims) == ["id", "permissions", "is_admin", "exp"]
    assert (claims["id"], claims["permissions"], claims["is_admin"]) == ("1", ["*"], True)
    now = datetime.now().astimezone().timestamp()
    assert now + 1700 < cast("int", claims["exp"]) <= now + 1801
    assert server.auth_url != server.base_url


def test_the_root_the_document_and_its_page(auth: AuthCaller) -> None:
    assert auth.read("GET", "/") == {"message": "authentication service is running"}
    info = auth.read("GET", "/openapi.json")["info"]
    assert info == {"title": "User Auth Service", "version": "0.1.0"}
    page = auth.send("GET", "/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(("username", "password"), [("admin", "wrong"), ("nobody", "admin")])
def test_wrong_credentials_are_refused_in_the_same_words(
    auth: AuthCaller, username: str, password: str
) -> None:
    response = auth.send("POST", "/auth/token", username=username, password=password)
    assert (response.status_code, response.json()) == (401, {"detail": "Incorrect username or password"})
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_an_unknown_user_costs_a_comparison_as_a_known_one_does() -> None:
    class CountingHasher(argon2.PasswordHasher):
        compared = 0

        @override
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            self.compared += 1
            return super().verify(hash, password)

    hasher = CountingHasher()
    passwords = Passwords(hasher, hasher.hash("nobody's"))
    known = await passwords.hash(SecretStr("secret"))
    assert await passwords.fits(SecretStr("secret"), known)
    assert not await passwords.fits(SecretStr("other"), known)
    assert hasher.compared == 2
    # Not even the password of the hash that stands in for the missing one fits.
    assert not await passwords.fits(SecretStr("nobody's"), None)
    assert hasher.compared == 3


async def test_hashing_happens_beside_the_loop_and_a_few_at_a_time() -> None:
    entered: asyncio.Queue[None] = asyncio.Queue()
    loop, release = asyncio.get_running_loop(), threading.Event()

    class WaitingHasher(argon2.PasswordHasher):
        @override
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            loop.call_soon_threadsafe(entered.put_nowait, None)
            if not release.wait(SECONDS):
                raise VerifyMismatchError
            return True

    passwords = Passwords(WaitingHasher(), "")
    logins = [asyncio.create_task(passwords.fits(SecretStr("x"), "hash")) for _ in range(5)]
    for _ in range(2):
        await soon(entered.get())
    # The loop runs although two of them compute; further ones wait for their turn.
    assert entered.empty()
    release.set()
    assert await asyncio.gather(*logins) == [True] * 5


async def test_many_logins_at_once_all_succeed_and_other_calls_get_through(server: LocalServer) -> None:
    async with httpx.AsyncClient(base_url=server.auth_url, timeout=SECONDS) as http:
        form = {"username": "admin", "password": "admin"}
        logins = [asyncio.create_task(http.post("/auth/token", data=form)) for _ in range(20)]
        keys = [await http.get("/auth/public-key") for _ in range(5)]
        answers = await asyncio.gather(*logins)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.status_code for answer in keys} == {200}


def test_missing_fields_are_named_and_what_was_sent_is_not_repeated(auth: AuthCaller) -> None:
    response = auth.send("POST", "/auth/token", password="hunter2")
    missing = {"type": "missing", "loc": ["body", "username"], "msg": "Field required", "input": None}
    assert (response.status_code, response.json()) == (422, {"detail": [missing]})
    assert "hunter2" not in response.text
    as_json = auth.http.post("/auth/token", json={"username": "admin", "password": "admin"})
    assert [fault["loc"] for fault in faults(as_json)] == [["body", "username"], ["body", "password"]]


def test_a_form_may_come_as_multipart(auth: AuthCaller) -> None:
    fields = {"username": (None, "admin"), "password": (None, "admin")}
    assert auth.http.post("/auth/token", files=fields).status_code == 200
    broken = auth.http.post(
        "/auth/token", content=b"nonsense", headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert (broken.status_code, broken.json()) == (400, {"detail": "There was an error parsing the body"})


def test_a_form_has_a_largest_size(auth: AuthCaller) -> None:
    assert auth.refusal("POST", "/auth/token", username="admin", password="x" * 70_000) == (
        413,
        "Form is larger than 65536 bytes",
    )


def test_a_token_that_counts_is_refreshed(auth: AuthCaller, admin: str) -> None:
    answer = auth.read("POST", "/auth/token/refresh", admin)
    assert list(answer) == ["access_token", "token_type"]
    assert answer["access_token"] != admin
    assert auth.read("GET", "/users/me", str(answer["access_token"]))["username"] == "admin"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/token/refresh"),
        ("GET", "/users/me"),
        ("GET", "/users/"),
        ("POST", "/users/"),
        ("GET", "/users/1"),
        ("PUT", "/users/1"),
        ("DELETE", "/users/1"),
    ],
)
def test_calls_without_a_token_that_counts_are_refused(
    server: LocalServer, auth: AuthCaller, method: str, path: str
) -> None:
    assert auth.refusal(method, path) == (401, "Not authenticated")
    for token in ("nonsense", server.issue_token(lifetime=-1)):
        assert auth.refusal(method, path, token) == (401, "Could not validate credentials")
    basic = auth.http.request(method, path, auth=("admin", "admin"))
    assert (basic.status_code, basic.json()["detail"]) == (401, "Not authenticated")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/"),
        ("POST", "/users/"),
        ("GET", "/users/1"),
        ("PUT", "/users/1"),
        ("DELETE", "/users/1"),
    ],
)
def test_only_admins_manage_users(
    server: LocalServer, auth: AuthCaller, user: JSONObject, method: str, path: str
) -> None:
    token = server.issue_token(str(user["username"]))
    assert auth.refusal(method, path, token) == (403, "The user doesn't have enough privileges")


def test_a_user_looks_as_on_the_wire(auth: AuthCaller, admin: str, user: JSONObject) -> None:
    me = auth.read("GET", "/users/me", admin)
    assert list(me) == list(user) == USER_KEYS
    assert (me["username"], me["is_admin"], me["is_active"], me["id"]) == ("admin", True, True, 1)
    assert datetime.fromisoformat(str(me["created_at"])).tzinfo is None
    assert (user["is_admin"], user["is_active"]) == (False, True)
    assert user["permissions"] == ["read", "write"]


def test_users_without_a_slash_is_redirected(auth: AuthCaller) -> None:
    response = auth.http.post("/users")
    assert response.status_code == 307
    assert response.headers["Location"].endswith("/users/")


def test_a_name_is_taken_once(auth: AuthCaller, admin: str, user: JSONObject) -> None:
    name = str(user["username"])
    again = auth.refusal("POST", "/users/", admin, username=name, password="x")
    assert again == (400, "Username already registered")


def test_users_come_in_pages(auth: AuthCaller, admin: str, user: JSONObject) -> None:
    def page(query: str) -> list[object]:
        response = auth.send("GET", f"/users/{query}", admin)
        return [one["id"] for one in cast("list[JSONObject]", response.json())]

    assert page("") == [1, user["id"]]
    assert page("?limit=1") == [1]
    assert page("?skip=1&limit=1") == [user["id"]]
    assert page("?skip=2") == []
    assert auth.send("GET", "/users/?skip=-1", admin).status_code == 422
    assert auth.send("GET", f"/users/?limit={2**64}", admin).status_code == 422


def test_a_change_is_of_what_is_sent(auth: AuthCaller, admin: str, user: JSONObject) -> None:
    path = f"/users/{user['id']}"
    assert auth.read("GET", path, admin) == user
    assert auth.read("PUT", path, admin, is_admin="true") == {**user, "is_admin": True}
    # An empty field counts as not sent.
    assert auth.read("PUT", path, admin, permissions="") == {**user, "is_admin": True}
    changed = auth.read("PUT", path, admin, permissions=" one,two ,", is_admin="false")
    assert changed == {**user, "permissions": ["one", "two"]}
    (fault,) = faults(auth.send("PUT", path, admin, is_active="maybe"))
    assert (fault["type"], fault["loc"]) == ("bool_parsing", ["body", "is_active"])
    assert auth.read("GET", path, admin) == changed


def test_a_changed_password_counts_at_once(auth: AuthCaller, admin: str, user: JSONObject) -> None:
    name = str(user["username"])
    auth.log_in(name, "first")
    auth.read("PUT", f"/users/{user['id']}", admin, password="second")
    auth.log_in(name, "second")
    refused = auth.refusal("POST", "/auth/token", username=name, password="first")
    assert refused == (401, "Incorrect username or password")


@pytest.mark.parametrize("path", ["/users/4711", f"/users/{2**63 - 1}", "/users/-1"])
def test_unknown_users(auth: AuthCaller, admin: str, path: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert auth.refusal(method, path, admin, password="x") == (404, "User not found")


def test_ids_are_numbers(auth: AuthCaller, admin: str) -> None:
    assert auth.send("GET", "/users/admin", admin).status_code == 422
    assert auth.send("GET", f"/users/{2**63}", admin).status_code == 422


def test_an_inactive_user_is_out(server: LocalServer, auth: AuthCaller, admin: str, user: JSONObject) -> None:
    name = str(user["username"])
    token = server.issue_token(name)
    assert auth.send("POST", "/auth/token/refresh", token).status_code == 200
    auth.read("PUT", f"/users/{user['id']}", admin, is_active="false")
    refused = auth.refusal("POST", "/auth/token", username=name, password="first")
    assert refused == (401, "Incorrect username or password")
    for method, path in (("POST", "/auth/token/refresh"), ("GET", "/users/me")):
        assert auth.refusal(method, path, token) == (401, "Could not validate credentials")


def test_the_tokens_of_a_deleted_user_are_nobodys(
    server: LocalServer, auth: AuthCaller, admin: str, user: JSONObject
) -> None:
    token = server.issue_token(str(user["username"]))
    assert auth.send("DELETE", f"/users/{user['id']}", admin).status_code == 204
    assert auth.refusal("GET", "/users/me", token) == (401, "Could not validate credentials")
    later = auth.read("POST", "/users/", admin, username="later", password="x")
    assert cast("int", later["id"]) > cast("int", user["id"])
    assert auth.refusal("GET", "/users/me", token) == (401, "Could not validate credentials")
    auth.send("DELETE", f"/users/{later['id']}", admin)


def test_a_refreshed_token_has_the_permissions_of_now(
    server: LocalServer, auth: AuthCaller, admin: str, user: JSONObject
) -> None:
    token = server.issue_token(str(user["username"]))
    auth.read("PUT", f"/users/{user['id']}", admin, permissions="ai_inference_support")
    refreshed = str(auth.read("POST", "/auth/token/refresh", token)["access_token"])
    claims = JSON_OBJECT.validate_python(jwt.decode(refreshed, options={"verify_signature": False}))
    assert claims["permissions"] == ["ai_inference_support"]


def test_users_and_tokens_survive_a_restart(tmp_path: Path) -> None:
    with auth_server(tmp_path, admin_password="first") as server, calling(server) as auth:
        token = auth.log_in("admin", "first")
        auth.read("POST", "/users/", token, username="me", password="mine")
        public_key = auth.read("GET", "/auth/public-key")
    with auth_server(tmp_path, admin_password="second") as server, calling(server) as auth:
        assert auth.read("GET", "/auth/public-key") == public_key
        assert auth.read("GET", "/users/me", token)["username"] == "admin"
        auth.log_in("me", "mine")
        auth.log_in("admin", "first")
        assert auth.send("POST", "/auth/token", username="admin", password="second").status_code == 401


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_owner_can_read_keys_and_hashes(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        with auth_server(tmp_path):
            folder = tmp_path / "auth"
            files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(previous)
    assert files["signing_key.pem"] == 0o600
    assert files["users.sqlite3"] == 0o600
    assert set(files.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_password_and_no_token_is_written_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("aiosqlite", "amqtt", "transitions", "uvicorn.error"):
        caplog.set_level(logging.DEBUG, logger=name)
    with auth_server(tmp_path, admin_password="pass-admin") as server, calling(server) as auth:
        token = auth.log_in("admin", "pass-admin")
        user = auth.read("POST", "/users/", token, username="me", password="pass-me")
        auth.read("PUT", f"/users/{user['id']}", token, password="pass-new")
        auth.send("PUT", f"/users/{user['id']}", token, password="pass-fault", is_active="maybe")
        auth.send("POST", "/auth/token", username="me", password="pass-wrong")
        auth.send("POST", "/users/", token, password="pass-nameless")
        refreshed = str(auth.read("POST", "/auth/token/refresh", token)["access_token"])
        auth.send("GET", "/users/me", server.issue_token(lifetime=-1))
        settings = repr(server.settings)
    assert "/users/" in caplog.text
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(re.findall(rb"\$argon2id\$v=", stored)) >= 2
    for secret in ("pass-", token, refreshed, "eyJ"):
        assert secret not in caplog.text
        assert secret not in settings
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    "content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_file_that_holds_no_key_is_named(
    tmp_path: Path, content: bytes, eventually: Callable[[Callable[[], object]], None]
) -> None:
    threads = set(threading.enumerate())
    (tmp_path / "auth").mkdir()
    (tmp_path / "auth" / "signing_key.pem").write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=r"signing_key\.pem is not a private key for ES256 .* remove"
    ):
        auth_server(tmp_path).start()
    eventually(lambda: set(threading.enumerate()) <= threads)
    assert (tmp_path / "auth" / "signing_key.pem").read_bytes() == content


async def test_a_name_that_many_want_at_once_is_given_once(server: LocalServer, admin: str) -> None:
    headers = {"Authorization": f"Bearer {admin}"}
    async with httpx.AsyncClient(base_url=server.auth_url, timeout=SECONDS, headers=headers) as http:
        form = {"username": "wanted", "password": "x"}
        answers = await asyncio.gather(*(http.post("/users/", data=form) for _ in range(5)))
        created = [answer for answer in answers if answer.status_code == 201]
        assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400, 400]
        await http.delete(f"/users/{JSON_OBJECT.validate_json(created[0].content)['id']}")


def test_tokens_are_issued_for_users_that_there_are(server: LocalServer) -> None:
    with pytest.raises(LookupError, match="User 'nobody' was not found: create it at the auth service first"):
        server.issue_token("nobody")


def test_a_server_without_auth_service_says_so() -> None:
    with LocalServer(workers=1, tasks=["hash"]) as server:
        with pytest.raises(RuntimeError, match=r"no auth service: create it with LocalServer\(auth=True\)"):
            _ = server.auth_url
        with pytest.raises(RuntimeError, match="no auth service"):
            server.issue_token()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.auth_url


def _look(server: LocalServer) -> None:
    assert httpx.get(f"{server.auth_url}/users/me", timeout=SECONDS).status_code == 401


def test_a_client_that_goes_away_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    with auth_server() as server:
        address = httpx.URL(server.auth_url)
        with socket.create_connection((address.host, address.port or 0)) as connection:
            connection.sendall(
                b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nusername="
            )
            _look(server)  # a request that came later was answered: it has what came of this one
        _look(server)  # and here it has met the hang-up
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ValueError, match="token_lifetime is 0 s; it must be above 0"):
        LocalServer(auth=True, token_lifetime=0)
    with pytest.raises(ValueError, match="token_lifetime is inf s"):
        LocalServer(auth=True, token_lifetime=float("inf"))
    with pytest.raises(ValueError, match="admin_password is empty"):
        LocalServer(auth=True, admin_password=SecretStr(""))
