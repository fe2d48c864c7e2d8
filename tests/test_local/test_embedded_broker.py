"""The embedded broker: both versions of MQTT on one port, and the process that stands behind it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import httpx
import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import TypeAdapter

from cl_client.local import LocalServer, ServerTLS
from cl_client.local.broker import backend
from cl_client.models import JSONObject
from patience import SECONDS, eventually, soon
from support import NO_SLOW_READS, client_of, heard, require

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import IO

    from tests.test_local.conftest import Caller, Listener

    from cl_client.local.settings import BrokerChoice
    from cl_client.local.tasks import TaskSpec
    from support import TLSFiles

CONNECT_5 = bytes.fromhex("1015 0004 4d515454 05 02 003c 05 11 0000012c 0003 616263")
"""A client of MQTT 5 with a session expiry."""
CONNECT_311 = bytes.fromhex("100f 0004 4d515454 04 02 003c 0003 616263")
EVENTS = "inference/events"
JSON_OBJECT = TypeAdapter(JSONObject)


@pytest.fixture(scope="module")
def server(scripted: dict[str, TaskSpec]) -> Iterator[LocalServer]:
    """One with Mosquitto, which tests share that leave it as it was."""
    require("mosquitto")
    with LocalServer(workers=1, extra_tasks=scripted, broker="mosquitto") as running:
        yield running


def _trusting(files: TLSFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.ca)


def answer_to(server: LocalServer, packet: bytes) -> bytes:
    """What the broker sends after a packet, until it hangs up or a CONNACK is complete."""
    address = httpx.URL(server.mqtt_url)
    with socket.create_connection((address.host, address.port or 0), timeout=SECONDS) as connection:
        connection.sendall(packet)
        answer = b""
        while len(answer) < 2 + (answer[1] if len(answer) > 1 else 0):
            if not (data := connection.recv(64)):
                break
            answer += data
        return answer


@contextmanager
def mosquitto_sub(server: LocalServer, *options: str) -> Generator[subprocess.Popen[str]]:
    """Debian's subscriber of a server's events; it has subscribed when the block begins."""
    address = httpx.URL(server.mqtt_url)
    command = [require("mosquitto_sub"), "-v", "-h", address.host, "-p", str(address.port), "-q", "1"]
    topics = ["-t", EVENTS, "-t", "inference/workers/#"]
    with subprocess.Popen([*command, *topics, *options], stdout=subprocess.PIPE, text=True) as program:  # noqa: S603 - our own command
        try:
            # A retained message is the answer to a subscription.
            announcement = cast("IO[str]", program.stdout).readline()
            assert announcement.startswith("inference/workers/")
            yield program
        finally:
            program.kill()


def printed_until_the_end(program: subprocess.Popen[str], job_id: str) -> list[str]:
    """The events of a job that it prints, by their words, until the job has ended."""
    words: list[str] = []
    for line in cast("IO[str]", program.stdout):
        topic, _, payload = line.partition(" ")
        if topic == EVENTS and job_id in payload:
            words.append(str(JSON_OBJECT.validate_json(payload)["event_type"]))
            if words[-1] in {"completed", "error"}:
                break
    return words


@pytest.mark.parametrize("version", ["5", "mqttv311"])
def test_mosquitto_sub_prints_the_events_of_a_job(server: LocalServer, caller: Caller, version: str) -> None:
    with mosquitto_sub(server, "-V", version) as program:
        job_id = caller.submit(action="succeed")
        words = printed_until_the_end(program, job_id)
    assert words[:1] + words[-1:] == ["queued", "completed"]


def test_mosquitto_sub_with_tls_and_a_token(tls_files: TLSFiles, tmp_path: Path) -> None:
    require("mosquitto")
    (photo := tmp_path / "photo.jpg").write_bytes(b"x")
    tls = ServerTLS(tls_files.server_cert, tls_files.server_key)
    with LocalServer(
        workers=1, tasks=["hash"], auth=True, mqtt_auth=True, tls=tls, broker="mosquitto"
    ) as server:
        token = server.issue_token()
        login = ("-u", "admin", "-P", token, "--cafile", str(tls_files.ca))
        with mosquitto_sub(server, "-V", "5", *login) as program:
            with httpx.Client(base_url=server.base_url, verify=_trusting(tls_files)) as http:
                answer = http.post(
                    "/jobs/hash",
                    files={"file": photo.read_bytes()},
                    headers={"Authorization": f"Bearer {token}"},
                )
            job_id = str(JSON_OBJECT.validate_json(answer.content)["job_id"])
            assert printed_until_the_end(program, job_id)[-1:] == ["completed"]


def test_both_versions_hear_the_same_on_one_port(
    server: LocalServer, caller: Caller, listen: type[Listener]
) -> None:
    with (
        listen(server.mqtt_url, MQTTProtocolVersion.MQTTv5) as new,
        listen(server.mqtt_url, MQTTProtocolVersion.MQTTv311) as old,
        listen(server.mqtt_url, MQTTProtocolVersion.MQTTv31) as older,
    ):
        eventually(lambda: all(one.workers() for one in (new, old, older)))
        assert all(one.workers()[0].retained for one in (new, old, older))
        job_id = caller.submit(action="succeed")
        caller.ended(job_id)
        eventually(lambda: all(one.events(job_id)[-1:] == [("completed", 100)] for one in (new, old, older)))
        assert new.events(job_id) == old.events(job_id) == older.events(job_id)


def subscriber_of_5(server: LocalServer, payloads: list[bytes]) -> paho.Client:
    """A subscriber whose session outlives its connection; it keeps the name."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, "keeper", protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
    )
    subscribed: list[bool] = []

    def on_message(_client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        payloads.append(bytes(message.payload))

    def on_subscribe(*_: object) -> None:
        subscribed.append(True)

    client.on_message, client.on_subscribe = on_message, on_subscribe
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 300
    address = httpx.URL(server.mqtt_url)
    client.connect(address.host, address.port or 0, clean_start=False, properties=properties)
    client.subscribe(EVENTS, qos=1)
    client.loop_start()
    eventually(lambda: subscribed)
    return client


def end_of(client: paho.Client) -> None:
    """Disconnect, and keep the session."""
    client.disconnect()
    client.loop_stop()
    client.on_message = client.on_subscribe = None


def test_a_session_of_mqtt_5_gets_what_it_missed(server: LocalServer, caller: Caller) -> None:
    payloads: list[bytes] = []
    end_of(subscriber_of_5(server, payloads))
    job_id = caller.submit(action="succeed")
    caller.ended(job_id)
    client = subscriber_of_5(server, payloads)
    try:
        eventually(lambda: any(job_id.encode() in it and b'"completed"' in it for it in payloads))
        assert any(job_id.encode() in it and b'"queued"' in it for it in payloads)
    finally:
        end_of(client)


def test_a_client_id_is_taken_over(broker_choice: BrokerChoice) -> None:
    with LocalServer(workers=1, tasks=["hash"], broker=broker_choice) as server:
        address = httpx.URL(server.mqtt_url)
        where = (address.host, address.port or 0)
        with (
            socket.create_connection(where, timeout=SECONDS) as first,
            socket.create_connection(where, timeout=SECONDS) as second,
        ):
            first.sendall(CONNECT_311)
            assert first.recv(4) == b"\x20\x02\x00\x00"
            second.sendall(CONNECT_311)
            assert second.recv(4) == b"\x20\x02\x00\x00"
            if broker_choice == "mosquitto":  # amqtt keeps the connection, and sends nothing on it any more
                assert first.recv(1) == b""
            second.sendall(b"\xc0\x00")
            assert second.recv(2) == b"\xd0\x00"


def test_a_broker_without_mqtt_5_says_so_in_the_words_of_mqtt_5() -> None:
    with LocalServer(workers=1, tasks=["hash"], broker="amqtt") as server:
        assert "3.1.1 only" in server.broker
        # CONNACK, section 3.2 of MQTT 5.0: no session, 0x84 "Unsupported Protocol Version", no properties.
        assert answer_to(server, CONNECT_5) == b"\x20\x03\x00\x84\x00"
        assert answer_to(server, CONNECT_311) == b"\x20\x02\x00\x00"
        ended = subprocess.run(  # noqa: S603 - our own command
            [require("mosquitto_sub"), "-V", "5", "-p", str(httpx.URL(server.mqtt_url).port), "-t", EVENTS],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert "Unsupported Protocol Version" in ended.stderr
        assert ended.returncode == 132


def test_a_refused_login_is_told_in_the_words_of_its_version(broker_choice: BrokerChoice) -> None:
    with LocalServer(workers=1, tasks=["hash"], auth=True, mqtt_auth=True, broker=broker_choice) as server:
        expected = {"mosquitto": b"\x20\x03\x00\x87\x00", "amqtt": b"\x20\x03\x00\x84\x00"}
        assert answer_to(server, CONNECT_5) == expected[broker_choice]
        assert answer_to(server, CONNECT_311) == b"\x20\x02\x00\x05"


@pytest.mark.parametrize(
    "packet",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x30\x03\x00\x01a",  # a PUBLISH
        b"\x10\xff\xff\xff\xff",  # a length of more than four digits
        b"\x10\xff\xff\xff\x7f",  # 256 MiB
        b"\x10\x02\x00\x04",  # it ends within the protocol's name
        b"\x10\x0f\x00\x04MQTT\x04\xc2\x00\x3c\x00\x03abc",  # the user name is missing
        b"\x10\x13\x00\x04MQTT\x04\x82\x00\x3c\x00\x03abc\x00\x02\xff\xfe",  # a user name that is no text
    ],
)
def test_what_is_no_connect_is_hung_up_on(server: LocalServer, packet: bytes) -> None:
    assert answer_to(server, packet) == b""


def broker_processes() -> list[psutil.Process]:
    """Each Mosquitto that a server of this process has started."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.name() == "mosquitto" and process.cmdline()[-1] == "mosquitto.conf"
    ]


async def test_a_broker_that_dies_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    require("mosquitto")
    before = broker_processes()
    with LocalServer(workers=1, tasks=["hash"], broker="mosquitto") as server:
        (broker,) = (process for process in broker_processes() if process not in before)
        async with client_of(server, **NO_SLOW_READS) as client:
            assert await client.mqtt_monitor.wait_connected(SECONDS)
            with heard("cl_client.local.broker.mosquitto_backend", "starting it again") as told:
                broker.kill()
                await soon(told.wait())
            # Both reconnect by themselves: the client, and the server that publishes.
            while client.mqtt_monitor.is_connected:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
            assert await client.mqtt_monitor.wait_connected(SECONDS)
            assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
    assert "has ended" in caplog.text


def program(folder: Path, script: str) -> str:
    """A Mosquitto of our own."""
    path = folder / "mosquitto"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_mosquitto_that_does_not_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program(tmp_path, "echo Error: Unknown configuration variable. >&2; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(OSError, match=r"mosquitto did not start: Error: Unknown configuration variable"):
        LocalServer(broker="mosquitto").start()
    with LocalServer(workers=1, tasks=["hash"]) as server:
        assert server.broker.startswith("amqtt ")
    assert "Unknown configuration variable" in caplog.text


def test_without_mosquitto_it_is_amqtt_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> str:
        raise FileNotFoundError("There is no Mosquitto")

    monkeypatch.setattr(backend, "find_mosquitto", missing)
    with pytest.raises(FileNotFoundError, match="There is no Mosquitto"):
        LocalServer(broker="mosquitto").start()
    with LocalServer(workers=1, tasks=["hash"]) as server:
        assert server.broker.startswith("amqtt ")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_where_it_is_not_found_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(shutil, "which", nowhere)
    with pytest.raises(FileNotFoundError, match="install the package mosquitto"):
        backend.find_mosquitto()


@pytest.mark.parametrize("name", ["with a space", "x" * 120])
def test_any_temporary_folder_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    require("mosquitto")
    (folder := tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with LocalServer(workers=1, tasks=["hash"], broker="mosquitto") as server:
        assert server.broker.startswith("Mosquitto ")
        assert answer_to(server, CONNECT_5)[3:4] == b"\x00"
    assert list(folder.iterdir()) == []


def test_an_interrupt_at_the_terminal_leaves_the_broker_to_the_server(server: LocalServer) -> None:
    assert server.is_running
    brokers = broker_processes()
    assert brokers
    assert all(os.getpgid(broker.pid) != os.getpgid(0) for broker in brokers)


def test_an_unknown_broker_is_refused() -> None:
    with pytest.raises(ValueError, match="it must be one of auto, mosquitto, amqtt"):
        LocalServer(broker=cast("BrokerChoice", "rabbit"))
