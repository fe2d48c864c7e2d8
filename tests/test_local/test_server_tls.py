"""A local server behind TLS: HTTP, the auth service and the broker, with and without client certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import TypeAdapter

from cl_client import ComputeClientConfig, ConfigurationError, JWTAuthProvider, ServerUnavailableError
from cl_client.local import LocalServer, ServerTLS
from cl_client.local.net.tls import load_tls
from cl_client.models import JSONObject
from patience import SECONDS, soon
from support import NO_SLOW_READS, TLSFiles, heard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JSON_OBJECT = TypeAdapter(JSONObject)


def tls_server(tls: ServerTLS, *, mqtt_auth: bool = False) -> LocalServer:
    return LocalServer(auth=True, workers=1, tasks=["hash"], tls=tls, mqtt_auth=mqtt_auth)


def files_of(files: TLSFiles, *, mutual: bool = False) -> ServerTLS:
    return ServerTLS(files.server_cert, files.server_key, files.ca if mutual else None)


def trusting(files: TLSFiles, *, certified: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    if certified:
        context.load_cert_chain(files.client_cert, files.client_key)
    return context


def log_in(server: LocalServer, context: ssl.SSLContext) -> str:
    """A token, as a client gets it."""
    form = {"username": "admin", "password": "admin"}
    answer = httpx.post(f"{server.auth_url}/auth/token", data=form, verify=context, timeout=SECONDS)
    assert answer.status_code == 200
    return str(JSON_OBJECT.validate_json(answer.content)["access_token"])


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("mqtt_auth", [False, True])
async def test_all_of_a_server_speaks_tls(
    tls_files: TLSFiles, caplog: pytest.LogCaptureFixture, *, mutual: bool, mqtt_auth: bool
) -> None:
    async with tls_server(files_of(tls_files, mutual=mutual), mqtt_auth=mqtt_auth) as server:
        schemes = [url.partition(":")[0] for url in (server.base_url, server.auth_url, server.mqtt_url)]
        assert schemes == ["https", "https", "mqtts"]
        token = await asyncio.to_thread(log_in, server, trusting(tls_files, certified=mutual))
        own = {"client_cert_file": tls_files.client_cert, "client_key_file": tls_files.client_key}
        credentials = {"mqtt_username": "admin", "mqtt_password": token}
        config = ComputeClientConfig.create(
            ca_file=tls_files.ca,
            **NO_SLOW_READS,
            **(own if mutual else {}),
            **(credentials if mqtt_auth else {}),
        )
        async with server.client(config=config, auth_provider=JWTAuthProvider(token)) as client:
            assert await client.mqtt_monitor.wait_connected(SECONDS)
            # Only a push ends it in time, so the server's own connection to its broker works as well.
            assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
    assert "is unreachable" not in caplog.text


def test_a_certificate_for_another_host_serves_the_servers_own_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = TLSFiles.make(tmp_path, "compute.example")
    with (
        tls_server(files_of(files)) as server,
        httpx.Client(base_url=server.base_url, verify=trusting(files), timeout=SECONDS) as http,
    ):
        with pytest.raises(httpx.ConnectError, match=r"certificate is not valid for '127\.0\.0\.1'"):
            http.get("/")
        assert http.get("/", extensions={"sni_hostname": "compute.example"}).status_code == 200
    assert "is unreachable" not in caplog.text


async def test_clients_that_do_not_trust_it_are_told_why(tls_files: TLSFiles) -> None:
    async with tls_server(files_of(tls_files)) as server:
        config = ComputeClientConfig.create(max_retries=0)
        with heard("cl_client.mqtt", "certificate is not trusted") as refused:
            async with server.client(config=config) as client:
                with pytest.raises(ServerUnavailableError, match="not trusted"):
                    await client.health()
                await soon(refused.wait())
                assert not client.mqtt_monitor.is_connected


def test_client_certificates_are_demanded_everywhere(tls_files: TLSFiles, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    others = TLSFiles.make(tmp_path / "others")
    stranger = ssl.create_default_context(cafile=tls_files.ca)
    stranger.load_cert_chain(others.client_cert, others.client_key)
    with tls_server(files_of(tls_files, mutual=True)) as server:
        for url in (server.base_url, server.auth_url, server.mqtt_url):
            assert not _is_answered(url, trusting(tls_files))
            assert not _is_answered(url, stranger)
            assert _is_answered(url, trusting(tls_files, certified=True))


def _is_answered(url: str, context: ssl.SSLContext) -> bool:
    address = httpx.URL(url)
    # A CONNECT of MQTT 3.1.1 by a client that calls itself "a", or a request.
    sent = (
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
        if address.scheme == "mqtts"
        else b"GET / HTTP/1.0\r\n\r\n"
    )
    with (
        socket.create_connection((address.host, address.port or 0), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=address.host) as secure,
    ):
        try:
            secure.sendall(sent)
            return secure.recv(1) != b""
        except (ConnectionError, ssl.SSLError):
            return False


def test_the_own_connection_trusts_that_one_certificate_alone(tls_files: TLSFiles) -> None:
    contexts = load_tls(files_of(tls_files))
    assert _handshake(contexts.mqtt, contexts.own_client) is None
    fault = _handshake(_other_server(tls_files), contexts.own_client)
    assert "certificate verify failed" in str(fault)
    assert _handshake(_other_server(tls_files), _unpinned(tls_files)) is None


def test_the_own_connections_certificate_opens_the_broker_alone(tls_files: TLSFiles) -> None:
    contexts = load_tls(files_of(tls_files, mutual=True))
    assert _handshake(contexts.mqtt, contexts.own_client) is None
    assert _handshake(contexts.http, contexts.own_client) is not None


def _other_server(files: TLSFiles) -> ssl.SSLContext:
    """One with another certificate of the same authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.client_cert, files.client_key)
    return context


def _unpinned(files: TLSFiles) -> ssl.SSLContext:
    context = trusting(files)
    context.check_hostname = False
    return context


def _handshake(at_server: ssl.SSLContext, at_client: ssl.SSLContext) -> ssl.SSLError | None:
    """Both ends of a connection in memory; why it failed."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        at_client.wrap_bio(to_client, to_server),
        at_server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as exc:
                return exc
    return None


@pytest.mark.parametrize(
    "fault", ["missing", "no certificate", "another key", "encrypted key", "no authority"]
)
def test_files_that_cannot_be_used_are_named_and_nothing_is_left(
    tls_files: TLSFiles, tmp_path: Path, fault: str, eventually: Callable[[Callable[[], object]], None]
) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing")
    tls = files_of(tls_files)
    if fault == "encrypted key":
        key = load_pem_private_key(tls_files.server_key.read_bytes(), None)
        nonsense.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        )
    unusable, named = {
        "missing": (replace(tls, cert_file=tmp_path / "gone.pem"), r"gone\.pem and .* are not a certificate"),
        "no certificate": (replace(tls, cert_file=nonsense), r"nonsense\.pem and .* are not a certificate"),
        "another key": (
            replace(tls, key_file=tls_files.client_key),
            r"client-key\.pem are not a certificate",
        ),
        "encrypted key": (replace(tls, key_file=nonsense), r"its unencrypted private key"),
        "no authority": (
            replace(tls, client_ca_file=nonsense),
            r"nonsense\.pem contains no valid PEM certificates",
        ),
    }[fault]
    threads = set(threading.enumerate())
    with pytest.raises(ConfigurationError, match=named):
        tls_server(unusable).start()
    eventually(lambda: set(threading.enumerate()) <= threads)


def test_of_a_chain_the_own_connection_trusts_the_first_certificate_alone(
    tls_files: TLSFiles, tmp_path: Path
) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(tls_files.server_cert.read_bytes() + tls_files.ca.read_bytes())
    contexts = load_tls(ServerTLS(chain, tls_files.server_key))
    assert _handshake(contexts.mqtt, contexts.own_client) is None
    assert _handshake(_other_server(tls_files), contexts.own_client) is not None


def test_stopping_leaves_nothing_of_clients_that_do_not_listen(tls_files: TLSFiles) -> None:
    context = trusting(tls_files)
    server = tls_server(files_of(tls_files))
    server.start()
    connections: list[socket.socket] = []
    try:
        for url in (server.base_url, server.auth_url, server.mqtt_url):
            address = httpx.URL(url)
            # One in the midst of its handshake, and one idle after it.
            for wrap in (False, True):
                connection = socket.create_connection((address.host, address.port or 0))
                wrapped = (
                    context.wrap_socket(connection, server_hostname=address.host) if wrap else connection
                )
                connections.append(wrapped)
    finally:
        server.stop()
        for connection in connections:
            connection.close()
