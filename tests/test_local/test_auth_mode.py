"""What a local server's compute routes and its broker demand when it has an auth service."""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import httpx
import jwt
import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pydantic import TypeAdapter

from cl_client import ComputeClientConfig, JWTAuthProvider
from cl_client.local import LocalServer
from cl_client.models import JSONObject
from patience import SECONDS, soon
from support import NO_SLOW_READS, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from cl_client.local.generations import Generation
    from cl_client.local.settings import BrokerChoice

JSON_OBJECT = TypeAdapter(JSONObject)
GIBIBYTE = 1024**3

JOB_CALLS = [
    ("POST", "/jobs/hash"),
    ("GET", "/jobs/nope"),
    ("DELETE", "/jobs/nope"),
    ("GET", "/jobs/nope/files/output/x"),
]
ADMIN_CALLS = [
    ("GET", "/admin/jobs/storage/size"),
    ("DELETE", "/admin/jobs/cleanup"),
    ("GET", "/admin/pref"),
    ("PUT", "/admin/pref/guest-mode"),
]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def detail(response: httpx.Response) -> tuple[int, object]:
    return response.status_code, response.json()["detail"]


def add_user(server: LocalServer, username: str, permissions: str) -> int:
    """Add a user; the id."""
    response = httpx.post(
        f"{server.auth_url}/users/",
        data={"username": username, "password": "x", "permissions": permissions},
        headers=bearer(server.issue_token()),
    )
    assert response.status_code == 201
    return cast("int", JSON_OBJECT.validate_json(response.content)["id"])


def claims_of(token: str) -> JSONObject:
    return JSON_OBJECT.validate_python(jwt.decode(token, options={"verify_signature": False}))


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    """One with guest mode off, a user who may submit jobs and one who may not."""
    with LocalServer(auth=True, workers=1, tasks=["hash"]) as running:
        add_user(running, "worker", "other, ai_inference_support")
        add_user(running, "reader", "media_store_read")
        yield running


@pytest.fixture
def http(server: LocalServer) -> Generator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=SECONDS) as client:
        yield client


def forged(server: LocalServer, kind: str) -> str:
    """An admin's token that this server did not sign, or not so."""
    claims: JSONObject = {"id": "1", "permissions": [], "is_admin": True, "exp": int(time.time()) + 600}
    foreign = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256")
    if kind == "another key":
        return foreign
    if kind == "changed claims":
        head, _, signature = server.issue_token("reader").split(".")
        return ".".join((head, foreign.split(".")[1], signature))
    if kind == "no signature":
        return jwt.encode(claims, "", "none")
    if kind == "no end":
        del claims["exp"]
        return jwt.encode(claims, (server.data_dir / "auth" / "signing_key.pem").read_bytes(), "ES256")
    if kind == "the public key as a shared secret":
        answer = httpx.get(f"{server.auth_url}/auth/public-key").content
        return with_shared_secret(claims, str(JSON_OBJECT.validate_json(answer)["public_key"]))
    return "nonsense"


def with_shared_secret(claims: Mapping[str, object], secret: str) -> str:
    """Sign as HS256; PyJWT itself refuses to take a PEM for it."""
    signed = jwt.encode({**claims}, "x" * 32, "HS256").rpartition(".")[0]
    signature = hmac.digest(secret.encode(), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_guest_mode_begins_switched_off(http: httpx.Client) -> None:
    assert http.get("/").json()["guestMode"] == "off"


@pytest.mark.parametrize("token", [None, "nonsense"])
def test_status_and_capabilities_are_open_to_all(http: httpx.Client, token: str | None) -> None:
    headers = {} if token is None else bearer(token)
    assert http.get("/", headers=headers).status_code == 200
    assert http.get("/capabilities", headers=headers).json()["num_workers"] == 1


@pytest.mark.parametrize(("method", "path"), JOB_CALLS + ADMIN_CALLS)
def test_everything_else_wants_a_token(
    server: LocalServer, http: httpx.Client, method: str, path: str
) -> None:
    missing = http.request(method, path)
    assert detail(missing) == (401, "Authentication required")
    assert "WWW-Authenticate" not in missing.headers  # as on real servers, whose auth service sends it
    assert detail(http.request(method, path, auth=("admin", "admin"))) == (401, "Authentication required")
    expired = http.request(method, path, headers=bearer(server.issue_token(lifetime=-1)))
    assert detail(expired) == (401, "JWT token has expired")


@pytest.mark.parametrize(
    "kind",
    [
        "another key",
        "changed claims",
        "no signature",
        "no end",
        "the public key as a shared secret",
        "not a token",
    ],
)
def test_forged_tokens_are_refused(server: LocalServer, http: httpx.Client, kind: str) -> None:
    headers = bearer(forged(server, kind))
    for method, path in (JOB_CALLS[0], ADMIN_CALLS[0]):
        refused = http.request(method, path, headers=headers)
        assert detail(refused) == (401, "Could not validate credentials")
    me = httpx.get(f"{server.auth_url}/users/me", headers=headers)
    assert detail(me) == (401, "Could not validate credentials")


@pytest.mark.parametrize(("method", "path"), JOB_CALLS)
def test_jobs_want_the_permission_or_an_admin(
    server: LocalServer, http: httpx.Client, method: str, path: str
) -> None:
    refused = http.request(method, path, headers=bearer(server.issue_token("reader")))
    assert detail(refused) == (403, "Insufficient permissions. Required: ai_inference_support")
    for username in ("worker", "admin"):
        let_in = http.request(method, path, headers=bearer(server.issue_token(username)))
        assert let_in.status_code == (422 if method == "POST" else 404)


@pytest.mark.parametrize(("method", "path"), ADMIN_CALLS)
def test_administration_wants_an_admin(
    server: LocalServer, http: httpx.Client, method: str, path: str
) -> None:
    refused = http.request(method, path, headers=bearer(server.issue_token("worker")))
    assert detail(refused) == (403, "Insufficient permissions. Admin access required")
    let_in = http.request(method, path, headers=bearer(server.issue_token()))
    assert let_in.status_code == (422 if method == "PUT" else 200)


def test_an_unknown_task_is_unknown_to_strangers_as_well(http: httpx.Client) -> None:
    assert http.post("/jobs/nope").status_code == 405


@pytest.mark.parametrize(("username", "status"), [(None, b"401"), ("reader", b"403")])
@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
async def test_a_refusal_comes_before_the_body_of_an_upload(
    server: LocalServer, username: str | None, status: bytes, expect: str
) -> None:
    address = httpx.URL(server.base_url)
    authorization = "" if username is None else f"Authorization: Bearer {server.issue_token(username)}\r\n"
    head = (
        f"POST /jobs/hash HTTP/1.1\r\nHost: {address.host}\r\nContent-Length: {GIBIBYTE}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\n{authorization}{expect}\r\n"
    )
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(head.encode())
        answer = await soon(reader.readuntil(b"}"))
    finally:
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_in_guest_mode_tokens_are_not_looked_at(server: LocalServer, http: httpx.Client) -> None:
    admin = bearer(server.issue_token())
    path = "/admin/pref"
    assert http.get(path, headers=admin).json() == {
        "guest_mode": False,
        "updated_at": None,
        "updated_by": None,
    }

    def switch(guest_mode: str, headers: Mapping[str, str]) -> tuple[object, object]:
        answer = http.put(f"{path}/guest-mode", data={"guest_mode": guest_mode}, headers=headers)
        assert answer.json()["message"] == "Configuration updated successfully"
        switched = JSON_OBJECT.validate_json(http.get(path, headers=admin).content)
        assert answer.json()["guest_mode"] is switched["guest_mode"]
        return switched["guest_mode"], switched["updated_by"]

    try:
        assert switch("true", admin) == (True, "1")
        assert http.get("/").json()["guestMode"] == "on"
        for headers in ({}, bearer("nonsense"), bearer(server.issue_token(lifetime=-1))):
            assert http.get("/jobs/nope", headers=headers).status_code == 404
            assert http.get("/admin/jobs/storage/size", headers=headers).status_code == 200
        assert detail(httpx.get(f"{server.auth_url}/users/")) == (401, "Not authenticated")
    finally:
        # By anybody, and nobody knows by whom.
        switched = switch("false", {})
    assert switched == (False, None)
    assert http.get("/jobs/nope").status_code == 401


def test_the_token_is_enough(server: LocalServer, http: httpx.Client) -> None:
    user_id = add_user(server, "gone", "ai_inference_support")
    token = server.issue_token("gone")
    httpx.delete(f"{server.auth_url}/users/{user_id}", headers=bearer(server.issue_token()))
    assert http.get("/jobs/nope", headers=bearer(token)).status_code == 404


@pytest.mark.parametrize(
    ("generation", "claim", "guest_mode_path"),
    [
        ("A", "sub", None),
        ("A1", "id", None),
        ("A2", "id", "/admin/config"),
        ("B", "id", "/admin/config"),
        ("C", "id", "/admin/pref"),
    ],
)
def test_what_differs_between_the_generations(
    generation: Generation, claim: str, guest_mode_path: str | None
) -> None:
    with (
        LocalServer(auth=True, workers=1, tasks=["hash"], generation=generation) as server,
        httpx.Client(base_url=server.base_url, headers=bearer(server.issue_token())) as http,
    ):
        assert list(claims_of(server.issue_token())) == [claim, "permissions", "is_admin", "exp"]
        me = httpx.get(f"{server.auth_url}/users/me", headers=http.headers)
        assert me.json()["username"] == "admin"
        assert detail(httpx.get(f"{server.base_url}/jobs/nope")) == (401, "Authentication required")
        assert http.get("/jobs/nope").status_code == 404
        for path in ("/admin/config", "/admin/pref"):
            assert http.get(path).status_code == (200 if path == guest_mode_path else 404)


def test_the_servers_clock_may_be_another_one(tmp_path: Path) -> None:
    def statuses(server: LocalServer, token: str) -> set[int]:
        urls = (f"{server.base_url}/admin/jobs/storage/size", f"{server.auth_url}/users/me")
        return {httpx.get(url, headers=bearer(token)).status_code for url in urls}

    def start(clock_offset: float = 0.0) -> LocalServer:
        return LocalServer(
            auth=True,
            workers=1,
            tasks=["hash"],
            data_dir=tmp_path,
            token_lifetime=100,
            clock_offset=clock_offset,
        )

    with start() as server:
        token = server.issue_token()
        assert statuses(server, token) == {200}
    with start(clock_offset=200) as ahead:
        assert statuses(ahead, token) == {401}
        assert statuses(ahead, ahead.issue_token()) == {200}
        assert cast("int", claims_of(ahead.issue_token())["exp"]) > time.time() + 250
    with start(clock_offset=-200) as behind:
        old = behind.issue_token()
        assert cast("int", claims_of(old)["exp"]) < time.time()
        assert statuses(behind, old) == {200}
        assert statuses(behind, behind.issue_token(lifetime=-1)) == {401}


def test_a_taken_port_of_the_auth_service_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port_of(taken)
        with pytest.raises(OSError, match=f"auth service cannot listen on 127.0.0.1 port {port}"):
            LocalServer(auth=True, auth_port=port, workers=1).start()


def test_a_broker_that_wants_tokens_needs_the_auth_service_and_is_the_servers_own() -> None:
    with pytest.raises(ValueError, match="mqtt_auth needs auth=True"):
        LocalServer(mqtt_auth=True)
    with pytest.raises(ValueError, match="the embedded broker: remove mqtt_url"):
        LocalServer(mqtt_auth=True, auth=True, mqtt_url="mqtt://localhost")


@pytest.fixture(scope="module")
def guarded(broker_choice: BrokerChoice) -> Generator[LocalServer]:
    """One with each of the brokers, which wants a token."""
    with LocalServer(auth=True, workers=1, tasks=["hash"], mqtt_auth=True, broker=broker_choice) as running:
        add_user(running, "worker", "other, ai_inference_support")
        yield running


@contextmanager
def mqtt_client(
    server: LocalServer,
    username: str | None,
    password: str | None,
    name: str = "",
    version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
) -> Generator[tuple[paho.Client, list[str]]]:
    """A plain client of the server's broker, and the broker's answer to it."""
    answers: list[str] = []

    def on_connect(*arguments: object) -> None:
        answers.append(str(arguments[3]))

    client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=version, reconnect_on_failure=False)
    client.on_connect = on_connect
    if username is not None:
        client.username_pw_set(username, password)
    address = httpx.URL(server.mqtt_url)
    client.connect(address.host, address.port or 1883)
    client.loop_start()
    try:
        yield client, answers
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_connect = None


@pytest.mark.parametrize("fault", ["no name", "no password", "nonsense", "expired", "another key"])
def test_the_broker_refuses_clients_without_a_token_that_counts(
    guarded: LocalServer, eventually: Callable[[Callable[[], object]], None], fault: str
) -> None:
    username, password = {
        "no name": (None, None),
        "no password": ("admin", None),
        "nonsense": ("admin", "admin"),
        "expired": ("admin", guarded.issue_token(lifetime=-1)),
        "another key": ("admin", forged(guarded, "another key")),
    }[fault]
    with mqtt_client(guarded, username, password) as (_, answers):
        eventually(lambda: answers)
    assert answers == ["Not authorized"]


def test_a_refused_client_takes_nobodys_place(
    guarded: LocalServer, eventually: Callable[[Callable[[], object]], None]
) -> None:
    with mqtt_client(guarded, "admin", guarded.issue_token(), "same") as (client, answers):
        eventually(lambda: answers)
        with mqtt_client(guarded, "admin", "nonsense", "same") as (_, refused):
            eventually(lambda: refused)
        sent = client.publish("elsewhere", b"still here", qos=1)
        sent.wait_for_publish(20)
        assert sent.is_published()
        assert client.is_connected()
    assert (answers, refused) == (["Success"], ["Not authorized"])


async def test_a_client_with_a_token_is_pushed_the_end_of_its_job(
    guarded: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="amqtt")
    token = await asyncio.to_thread(guarded.issue_token, "worker")
    config = ComputeClientConfig.create(mqtt_username="worker", mqtt_password=token, **NO_SLOW_READS)
    async with guarded.client(config=config, auth_provider=JWTAuthProvider(token)) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
    assert token not in caplog.text
    assert "eyJ" not in caplog.text


def test_without_mqtt_auth_the_broker_is_open(eventually: Callable[[Callable[[], object]], None]) -> None:
    with (
        LocalServer(auth=True, workers=1, tasks=["hash"]) as server,
        mqtt_client(server, None, None) as (_, answers),
    ):
        eventually(lambda: answers)
    assert answers == ["Success"]


def test_without_an_auth_service_nothing_wants_a_token() -> None:
    with (
        LocalServer(workers=1, tasks=["hash"]) as server,
        httpx.Client(base_url=server.base_url) as http,
    ):
        # As ever: the switch is shown, and there is nobody who could give out tokens.
        http.put("/admin/pref/guest-mode", data={"guest_mode": "false"})
        assert http.get("/").json()["guestMode"] == "off"
        assert http.get("/jobs/nope").status_code == 404
