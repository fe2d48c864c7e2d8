"""A session with a live server is recorded, and played without it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from cl_client import (
    ConfigurationError,
    JobNotFoundError,
    JWTAuthProvider,
    ServerError,
    ServerUnavailableError,
)
from cl_client.local import LocalServer
from cl_client.testing import SessionRecorder, SessionReplay
from cl_client.testing.session_file import Content, RecordedSession
from followers import Log

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import ComputeClient
    from cl_client.testing import FaultyServer

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
