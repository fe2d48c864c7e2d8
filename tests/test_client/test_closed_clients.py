"""Clients that are not open yet, or no longer: looking starts nothing, and calls say that they are closed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from cl_client import ClientClosedError, ComputeClient, JobResponse
from cl_client.testing import StubServer, http_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client._client.admin import AdminClient
    from cl_client.models import WorkerCapability

NOWHERE = Path("nowhere")
JOB = JobResponse.model_validate(
    {
        "job_id": "j",
        "task_type": "hash",
        "status": "completed",
        "params": {"output_path": "output/hash.json"},
        "task_output": {"media_type": "text"},
    }
)


async def enter(client: ComputeClient) -> None:
    async with client.open_job_file("j", "a"):
        pass


async def subscribe(client: ComputeClient) -> None:
    client.subscribe_job_updates("j")


async def subscribe_to_workers(client: ComputeClient) -> None:
    def told(_workers: dict[str, WorkerCapability]) -> None:
        raise AssertionError

    client.subscribe_worker_updates(told)


async def look(client: ComputeClient) -> None:
    assert client.mqtt_monitor


CALLS: dict[str, Callable[[ComputeClient], Awaitable[object]]] = {
    "delete_job": lambda client: client.delete_job("j"),
    "download_job_file": lambda client: client.download_job_file("j", "a", NOWHERE),
    "download_job_files": lambda client: client.download_job_files("j", ["a"], NOWHERE),
    "download_job_outputs": lambda client: client.download_job_outputs(JOB, NOWHERE),
    "get_capabilities": lambda client: client.get_capabilities(),
    "get_job": lambda client: client.get_job("j", cache=True),
    "health": lambda client: client.health(),
    "mqtt_monitor": look,
    "open_job_file": enter,
    "read_job_file": lambda client: client.read_job_file("j", "a"),
    "server_path": lambda client: client.server_path(NOWHERE),
    "shared_folders": lambda client: client.shared_folders(),
    "submit_job": lambda client: client.submit_job("hash", b"x", {}),
    "subscribe_job_updates": subscribe,
    "subscribe_worker_updates": subscribe_to_workers,
    "wait_for_job": lambda client: client.wait_for_job("j"),
    "wait_for_workers": lambda client: client.wait_for_workers(["hash"]),
    "with_options": lambda client: client.with_options(timeout=1.0).health(),
    "watch_job": lambda client: anext(client.watch_job("j")),
    "clip_embedding": lambda client: client.clip_embedding.embed_image(b"x"),
    "dino_embedding": lambda client: client.dino_embedding.embed_image(b"x"),
    "exif": lambda client: client.exif.extract(b"x"),
    "face_detection": lambda client: client.face_detection.detect(b"x"),
    "face_embedding": lambda client: client.face_embedding.embed_faces(b"x"),
    "hash": lambda client: client.hash.compute(b"x", wait=True),
    "hls_streaming": lambda client: client.hls_streaming.generate_manifest(b"x"),
    "image_conversion": lambda client: client.image_conversion.convert(b"x", "png"),
    "media_thumbnail": lambda client: client.media_thumbnail.generate(b"x"),
    "a plugin's download": lambda client: client.hash.download(JOB, NOWHERE),
    "a plugin's read": lambda client: client.hash.load(JOB),
    "cleanup": lambda client: client.admin.cleanup(),
    "guest_mode": lambda client: client.admin.guest_mode(),
    "set_guest_mode": lambda client: client.admin.set_guest_mode(enabled=True),
    "storage": lambda client: client.admin.storage(),
}
STILL_WORK = {"admin", "close", "config", "plugin", "reads", "unsubscribe"}


def public(kind: type[ComputeClient | AdminClient]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


async def test_every_call_of_a_closed_client_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server = StubServer(http_response("200 OK", '{"status": "healthy", "service": "s", "version": "v1"}'))
    async with server.running() as client:
        await client.health()
        monitor = client.mqtt_monitor
        await client.close()
        for call in CALLS.values():
            with pytest.raises(ClientClosedError):
                await call(client)
        with pytest.raises(ClientClosedError):
            monitor.subscribe_job_updates("j")
        with pytest.raises(ClientClosedError):
            monitor.subscribe_worker_updates(print)
        client.unsubscribe("x")
        assert not client.reads
        assert len(server.requests) == 1
        async with client:
            assert (await client.health()).status == "healthy"
    assert not list(tmp_path.iterdir())


def test_the_table_of_calls_is_complete() -> None:
    client = ComputeClient()
    assert public(ComputeClient) | public(type(client.admin)) == CALLS.keys() - {
        "a plugin's download",
        "a plugin's read",
    } | STILL_WORK - {"config"}


def resources() -> tuple[set[threading.Thread], int]:
    return set(threading.enumerate()), len(psutil.Process().net_connections())


async def test_looking_at_a_client_starts_nothing() -> None:
    client = ComputeClient("http://127.0.0.1:1", mqtt_broker="127.0.0.1:1")
    before, tasks = resources(), asyncio.all_tasks()
    assert not client.reads
    assert not client.mqtt_monitor.is_connected
    assert not client.mqtt_monitor.is_live
    assert not client.mqtt_monitor.workers()
    assert client.admin
    assert client.plugin("hash") is client.hash
    client.unsubscribe("x")
    assert not client.reads
    await asyncio.sleep(0)
    assert (resources(), asyncio.all_tasks()) == (before, tasks)
    await client.close()
    assert not client.reads
    with pytest.raises(ClientClosedError):
        assert client.mqtt_monitor
    assert (resources(), asyncio.all_tasks()) == (before, tasks)


def test_looking_without_a_loop() -> None:
    client = ComputeClient()
    assert not client.reads
    assert client.admin
    assert client.hash


@pytest.mark.parametrize("used", [False, True])
async def test_closing_before_use_twice_and_at_once(*, used: bool) -> None:
    server = StubServer(http_response("200 OK", '{"status": "healthy", "service": "s", "version": "v1"}'))
    async with server.running() as at_server:
        client = ComputeClient(config=at_server.config.replace(mqtt_broker="127.0.0.1:1"))
        if used:
            await client.health()
        await asyncio.gather(*(client.close() for _ in range(3)))
        await client.close()
        with pytest.raises(ClientClosedError):
            await client.health()
        async with client, client:
            await client.health()
        with pytest.raises(ClientClosedError):
            await client.health()
