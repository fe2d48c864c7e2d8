"""A session with a live server is recorded, and played without it."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cl_client import (
    ConfigurationError,
    JobNotFoundError,
    JWTAuthProvider,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)
from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from cl_client.local import LocalServer, ServerTLS
from cl_client.local.broker.publisher import Publisher
from cl_client.testing import SessionRecorder, SessionReplay
from cl_client.testing.session_file import Announced, Content, Exchanged, RecordedSession
from followers import Log
from shares import key_file, photo_folder

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import ComputeClient
    from cl_client.local import Generation
    from cl_client.testing import FaultyServer
    from support import TLSFiles

BINARY = bytes(range(256)) * 4


async def session(client: ComputeClient) -> list[object]:
    """What an application does, and what it sees."""
    assert await client.mqtt_monitor.wait_connected(20)
    one, two = await asyncio.gather(
        client.hash.compute(b"one", wait=True), client.hash.compute(BINARY, algorithm="md5", wait=True)
    )
    failed = await client.media_thumbnail.generate(b"not a picture", width=10, wait=True)
    content = await client.read_job_file(two.job_id, "input/file")
    await client.delete_job(one.job_id)
    with pytest.raises(JobNotFoundError) as gone:
        await client.get_job(one.job_id)
    return [one, two, failed, content, str(gone.value), (await client.health()).service]


async def test_a_session_is_played_without_its_server(faulty_server: FaultyServer, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    async with (
        SessionRecorder(file, faulty_server.base_url, faulty_server.mqtt_url) as recorder,
        recorder.client(auth_provider=JWTAuthProvider("s3cr3t-token")) as client,
    ):
        recorded = await session(client)
    assert "s3cr3t" not in file.read_text()
    for speed in (None, 1000):
        async with SessionReplay(file, speed=speed) as replay, replay.client() as client:
            played = await session(client)
            assert replay.unexpected == []
        assert played == recorded
    assert [path.name for path in tmp_path.iterdir()] == ["session.json"]


async def test_messages_are_played_to_subscribers(faulty_server: FaultyServer, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    async with (
        SessionRecorder(file, faulty_server.base_url, faulty_server.mqtt_url) as recorder,
        recorder.client() as client,
    ):
        held = faulty_server.hold_job(at=40)
        job = await client.hash.compute(b"x")
        await held.reached()
        held.release()
        await client.wait_for_job(job.job_id)
    async with SessionReplay(file) as replay, replay.client() as client:
        assert await client.mqtt_monitor.wait_connected(20)
        log = Log()
        await client.hash.compute(b"x", on_progress=log.progress, on_complete=log.complete)
        await log.was_told("processing", 40)
        assert (await log.the_end()).job_id == job.job_id


async def test_what_was_not_recorded_is_refused_and_noted(
    faulty_server: FaultyServer, tmp_path: Path
) -> None:
    file = tmp_path / "session.json"
    async with SessionRecorder(file, faulty_server.base_url) as recorder, recorder.client() as client:
        await client.health()
    async with SessionReplay(file) as replay, replay.client(max_retries=0) as client:
        await client.health()
        with pytest.raises(ServerError, match=r"POST /jobs/hash is not in the recorded"):
            await client.hash.compute(b"x")
        assert replay.unexpected == ["POST /jobs/hash"]


async def test_a_server_below_a_path(local_server: object, tmp_path: Path) -> None:
    del local_server
    file = tmp_path / "session.json"
    with LocalServer(workers=1, tasks=["hash"]) as server:
        async with (
            SessionRecorder(file, f"{server.base_url}/no/such/path") as recorder,
            recorder.client() as client,
        ):
            assert client.config.base_url.endswith("/no/such/path")
            with pytest.raises(Exception, match="404"):
                await client.health()
    (entry,) = RecordedSession.load(file).entries
    assert getattr(entry, "path", None) == "/"


async def test_a_session_that_fails_is_not_saved(faulty_server: FaultyServer, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with SessionRecorder(tmp_path / "session.json", faulty_server.base_url):
            raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


async def test_a_broker_that_is_away_is_named(
    faulty_server: FaultyServer, unused_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_client.testing.recording._CONNECT_SECONDS", 0.2)
    url = f"mqtt://127.0.0.1:{unused_port}"
    with pytest.raises(ServerUnavailableError, match=url):
        async with SessionRecorder(tmp_path / "session.json", faulty_server.base_url, url):
            pass


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Invalid JSON"),
        ("[]", "the file: Input should be an object"),
        ('{"recorded_at": "2026-01-01T00:00:00Z"}', "entries: Field required"),
        (
            '{"recorded_at": "2026-01-01T00:00:00Z", "entries": [{"kind": "mqtt", "at": 1, "topic": 5}]}',
            r"entries\.0\.mqtt\.topic",
        ),
    ],
)
def test_a_file_that_is_no_session_is_named_with_its_fault(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"other\.json is not a recorded session: .*{words}"):
        SessionReplay(file)


def test_a_speed_of_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="speed is 0"):
        SessionReplay(tmp_path / "any", speed=0)


@pytest.mark.parametrize(
    "content", [b"", b"text", b'{"a": [1, null, 2.5]}', b"[]", b"5", b"\xff\x00", b'"{"']
)
def test_contents_survive_the_file(content: bytes) -> None:
    text = Content.of(content).model_dump_json(exclude_none=True)
    again = Content.model_validate_json(text).to_bytes()
    assert again == content or json.loads(again) == json.loads(content)


async def test_workers_announced_long_ago_are_there(faulty_server: FaultyServer, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    async with (
        SessionRecorder(file, faulty_server.base_url, faulty_server.mqtt_url) as recorder,
        recorder.client() as client,
    ):
        await client.hash.compute(b"x", wait=True)
    age = timedelta(days=90)
    recorded = RecordedSession.load(file)
    entries = [
        entry.model_copy(update={"payload": older(entry.payload, age)}) if entry.kind == "mqtt" else entry
        for entry in recorded.entries
    ]
    recorded_at = recorded.recorded_at - age
    RecordedSession(recorded_at=recorded_at, entries=entries).save(file)
    async with SessionReplay(file) as replay, replay.client() as client:
        async with asyncio.timeout(20):
            while not client.mqtt_monitor.workers():
                await client.mqtt_monitor.workers_changed.wait()


def older(payload: Content, age: timedelta) -> Content:
    assert isinstance(payload.data, dict)
    time = payload.data["timestamp"]
    assert isinstance(time, int)
    return Content(data={**payload.data, "timestamp": time - round(age.total_seconds() * 1000)})


async def test_a_replay_at_the_pace_of_then_begins_at_once(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    late = Announced(at=9999, topic="inference/workers/w", payload=Content(data={}))
    health = Exchanged(
        at=0, method="GET", path="/", status=200, body=Content(data={"status": "healthy", "service": "then"})
    )
    RecordedSession(recorded_at=datetime.now(UTC), entries=[late, health]).save(file)
    async with asyncio.timeout(20), SessionReplay(file, speed=1) as replay, replay.client() as client:
        assert (await client.health()).service == "then"


@pytest.mark.parametrize("payload", [b"not JSON", b"\xff\x00\xfe", b"[1]", b'{"timestamp": "then"}'])
async def test_any_message_is_played(payload: bytes, faulty_server: FaultyServer, tmp_path: Path) -> None:
    file, topic = tmp_path / "session.json", f"mine/{tmp_path.name}"
    publisher = Publisher(BrokerAddress.parse(faulty_server.mqtt_url), wait_for_echo=True)
    publisher.start()
    publisher.publish(topic, payload, retain=True)
    assert await publisher.wait_connected(20)
    await publisher.close()
    urls = faulty_server.base_url, faulty_server.mqtt_url
    async with SessionRecorder(file, *urls, topics=(topic,)) as recorder, asyncio.timeout(20):
        await recorder.noted(1)
    played = asyncio.Queue[bytes]()
    async with SessionReplay(file) as replay:
        other = MQTTConnection(
            BrokerAddress.parse(replay.mqtt_url),
            topics=[topic],
            on_messages=lambda messages: played.put_nowait(messages[0].payload),
        )
        other.start()
        got = await asyncio.wait_for(played.get(), 20)
        await other.close()
    assert got.replace(b" ", b"") == payload.replace(b" ", b"")


async def test_a_folder_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such folder.*missing"):
        async with SessionRecorder(tmp_path / "missing" / "session.json", "http://127.0.0.1:1"):
            pytest.fail("The session has begun")


async def test_a_recorder_and_its_client_with_tls_and_logins(tls_files: TLSFiles, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    tls = ServerTLS(tls_files.server_cert, tls_files.server_key)
    async with LocalServer(workers=1, auth=True, mqtt_auth=True, tls=tls) as server:
        token = server.issue_token()
        broker = server.mqtt_url.replace("mqtts://", f"mqtts://admin:{token}@")
        trusting = ssl.create_default_context(cafile=tls_files.ca)
        async with (
            SessionRecorder(file, server.base_url, broker, ssl_context=trusting) as recorder,
            recorder.client(auth_provider=JWTAuthProvider(token), ca_file=tls_files.ca) as client,
        ):
            assert await client.mqtt_monitor.wait_connected(20)
            recorded = await client.hash.compute(b"x", wait=True)
    assert token not in file.read_text()
    assert token.rpartition(".")[2] not in file.read_text()
    async with SessionReplay(file) as replay, replay.client() as client:
        assert await client.hash.compute(b"x", wait=True) == recorded


async def test_retries_are_played(faulty_server: FaultyServer, tmp_path: Path) -> None:
    file = tmp_path / "session.json"

    async def busy(client: ComputeClient) -> str:
        service = (await client.health()).service  # the second attempt is responded to
        with pytest.raises(ServerBusyError):
            await client.hash.compute(b"x")
        return f"{service} {(await client.hash.compute(b'x', wait=True)).job_id}"

    async with (
        SessionRecorder(file, faulty_server.base_url, faulty_server.mqtt_url) as recorder,
        recorder.client() as client,
    ):
        faulty_server.respond_unavailable(matching="^GET /$")
        faulty_server.respond_unavailable(matching="^POST")
        recorded = await busy(client)
    async with SessionReplay(file) as replay, replay.client() as client:
        assert await busy(client) == recorded
        assert replay.unexpected == []


@pytest.mark.parametrize("generation", ["A", "B"])
async def test_a_session_with_an_older_server(generation: Generation, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    with LocalServer(workers=1, generation=generation) as server:
        async with (
            SessionRecorder(file, server.base_url, server.mqtt_url) as recorder,
            recorder.client() as client,
        ):
            recorded = await session(client)
    async with SessionReplay(file) as replay, replay.client() as client:
        assert await session(client) == recorded
        assert replay.unexpected == []


@pytest.mark.parametrize("push", [True, False])
async def test_a_client_that_asks_more_and_in_another_order(
    faulty_server: FaultyServer, tmp_path: Path, *, push: bool
) -> None:
    file = tmp_path / "session.json"
    files = [b"one", b"two", b"three", b"one"]
    async with (
        SessionRecorder(file, faulty_server.base_url, faulty_server.mqtt_url) as recorder,
        recorder.client() as client,
    ):
        recorded = [await client.hash.compute(content, wait=True) for content in files]
    settings = {} if push else {"mqtt_broker": "off", "poll_min": 0.05}
    async with SessionReplay(file) as replay, replay.client(auth_provider=None, **settings) as client:
        jobs = await asyncio.gather(*(client.hash.compute(content, wait=True) for content in files[::-1]))
        asked = [await client.get_job(job.job_id) for job in jobs for _ in range(3)]
        assert replay.unexpected == []
    assert {job.job_id for job in jobs} == {job.job_id for job in recorded}
    assert all(job.status == "completed" for job in asked)


async def test_files_by_reference(tmp_path: Path) -> None:
    folder, file = photo_folder(tmp_path), tmp_path / "session.json"

    async def hash_of(client: ComputeClient) -> str:
        source = await client.server_path(folder / "a.jpg")
        assert source is not None
        job = await client.hash.compute(source, wait=True, raise_on_failure=True)
        return (await client.hash.load(job)).hash_value

    with LocalServer(workers=1, shared=[folder]) as server:
        async with SessionRecorder(file, server.base_url) as recorder, recorder.client() as client:
            recorded = await hash_of(client)
        assert key_file(server) not in file.read_text()
    async with SessionReplay(file) as replay, replay.client() as client:
        assert await hash_of(client) == recorded
        assert replay.unexpected == []


async def test_a_session_without_shared_folders(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    with LocalServer(workers=1) as server:
        async with SessionRecorder(file, server.base_url) as recorder, recorder.client() as client:
            await client.health()
    async with SessionReplay(file) as replay, replay.client() as client:
        assert await client.shared_folders() == ()
        assert replay.unexpected == []
