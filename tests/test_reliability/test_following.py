"""What a followed job promises, on every server generation and whatever the network does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from cl_client import (
    ClientClosedError,
    ComputeClient,
    ComputeClientError,
    InvalidParameterError,
    JobNotFoundError,
    JobResponse,
    JobTimeoutError,
    ServerUnavailableError,
    WorkerUnavailableError,
)
from followers import Log
from patience import SECONDS, soon, within
from support import Heart, heard, port_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client import WorkerCapability
    from cl_client.local import LocalServer
    from cl_client.testing import FaultyServer
    from support import Mosquitto

    MakeServer = Callable[..., LocalServer]
    MakeClient = Callable[..., ComputeClient]
    MakeMosquitto = Callable[..., Mosquitto]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_without_a_broker(local_server: MakeServer, make_client: MakeClient, unused_port: int) -> None:
    server = local_server()
    for broker in ("off", f"mqtt://127.0.0.1:{unused_port}"):
        async with make_client(server, mqtt_broker=broker) as client:
            job = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
            assert job.status == "completed"
            assert not client.mqtt_monitor.is_connected
            assert "hash" in await client.wait_for_workers(["hash"], timeout=SECONDS)


async def test_a_broker_that_never_answers_holds_up_nothing(
    local_server: MakeServer, make_client: MakeClient
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = port_of(silent.sockets[0])
    async with (
        silent,
        make_client(local_server(), mqtt_broker=f"127.0.0.1:{port}", mqtt_connect_timeout=1) as client,
    ):
        assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
        heart = Heart()
        async with heart.beating():
            assert not await client.mqtt_monitor.wait_connected(0.2)
        assert heart.beats > 0


async def test_a_timeout_carries_the_last_known_job_and_leaves_nothing(
    faulty_server: FaultyServer,
) -> None:
    faulty_server.hold_job()
    async with faulty_server.client() as client:
        log = Log()
        job = await client.hash.compute(b"x", on_progress=log.progress, on_complete=log.complete)
        await log.was_told("processing")
        with pytest.raises(JobTimeoutError) as caught:
            await client.wait_for_job(job.job_id, timeout=0.05, delete_on_cancel=True)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.job is not None
        assert (caught.value.job_id, caught.value.job.status) == (job.job_id, "processing")
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id)


async def test_cancelling_a_wait_keeps_the_job_unless_asked(faulty_server: FaultyServer) -> None:
    held = faulty_server.hold_job()
    async with faulty_server.client() as client:
        job = await client.hash.compute(b"x")
        await soon(held.reached())
        waiting = asyncio.create_task(client.wait_for_job(job.job_id))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        held.release()
        assert (await client.wait_for_job(job.job_id, timeout=SECONDS)).status == "completed"


async def test_closing_inside_a_callback(local_server: MakeServer, make_client: MakeClient) -> None:
    client, closed = make_client(local_server()), asyncio.Event()

    async def close(_job: JobResponse) -> None:
        await client.close()
        closed.set()

    await client.hash.compute(b"x", on_complete=close)
    await soon(closed.wait())


async def test_require_worker(local_server: MakeServer, make_client: MakeClient) -> None:
    async with make_client(local_server()) as client:
        with pytest.raises(WorkerUnavailableError, match=r"clip_embedding.*hash"):
            await client.clip_embedding.embed_image(b"x", require_worker=True)
        async with within():
            while "hash" not in client.mqtt_monitor.served():  # so that the next wait need not ask over HTTP
                await client.mqtt_monitor.workers_changed.wait()
        with pytest.raises(WorkerUnavailableError) as caught:
            await client.wait_for_workers(["hash", "clip_embedding"], timeout=0.2)
        assert caught.value.missing == ("clip_embedding",)
        assert (await client.hash.compute(b"x", require_worker=True, wait=True)).status == "completed"


async def test_capabilities_from_memory(local_server: MakeServer, make_client: MakeClient) -> None:
    async with make_client(local_server()) as client:
        first = await client.get_capabilities()
        assert await client.get_capabilities(cache=True) is first
        assert await client.get_capabilities(cache=True, ttl=1e-9) is not first
        assert await client.get_capabilities() is not first
        with pytest.raises(InvalidParameterError, match="ttl=0"):
            await client.get_capabilities(cache=True, ttl=0)


async def test_a_slow_callback_for_workers_gets_the_newest_state(
    local_server: MakeServer, make_client: MakeClient
) -> None:
    server = local_server(workers=2)
    seen: list[int] = []
    gate, gone = asyncio.Event(), asyncio.Event()

    async def slow(workers: dict[str, WorkerCapability]) -> None:
        seen.append(len(workers))
        await gate.wait()
        if not workers:
            gone.set()

    async with make_client(server) as client:
        client.subscribe_worker_updates(slow)
        quick: asyncio.Queue[int] = asyncio.Queue()
        client.subscribe_worker_updates(lambda workers: quick.put_nowait(len(workers)))
        async with within():
            while await quick.get() != 2:
                pass
        await asyncio.to_thread(server.stop)
        async with within():
            while await quick.get() != 0:
                pass
        gate.set()
        await soon(gone.wait())
    # The first state, and the one that was the newest when that call was through.
    assert len(seen) == 2


async def test_closing_ends_every_wait(faulty_server: FaultyServer) -> None:
    held = faulty_server.hold_job()
    client = faulty_server.client()
    job = await client.hash.compute(b"x")
    await soon(held.reached())

    async def watch() -> None:
        async for _ in client.watch_job(job.job_id):
            watching.set()

    watching = asyncio.Event()
    waits = [asyncio.create_task(client.wait_for_job(job.job_id)), asyncio.create_task(watch())]
    await soon(watching.wait())
    await client.close()
    for wait in waits:
        with pytest.raises(ClientClosedError, match="wait for it by its id"):
            await wait


async def test_an_unreachable_broker_is_one_warning(
    local_server: MakeServer, make_client: MakeClient, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = local_server()
    with heard("cl_client.mqtt", "No MQTT connection") as said:
        async with make_client(server, mqtt_broker=f"127.0.0.1:{unused_port}") as client:
            assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
            await soon(said.wait())
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"No MQTT connection to mqtt://127.0.0.1:{unused_port} (cannot connect: ")
    assert warning.endswith("jobs are followed over HTTP until it is connected")


async def test_a_broker_that_hangs_up_again_and_again_is_one_warning(
    local_server: MakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    calls: asyncio.Queue[int] = asyncio.Queue()

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        calls.put_nowait(1)

    server = local_server()
    broker = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with broker, make_client(server, mqtt_broker=f"127.0.0.1:{port_of(broker.sockets[0])}") as client:
        for _ in range(3):
            await soon(calls.get())
        assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
    (warning,) = warnings_in(caplog)
    assert warning.startswith("No MQTT connection")


async def test_workers_come_and_go(local_server: MakeServer, make_client: MakeClient) -> None:
    server = local_server(workers=2)
    async with make_client(server) as client:
        seen: asyncio.Queue[int] = asyncio.Queue()
        subscription = client.subscribe_worker_updates(lambda workers: seen.put_nowait(len(workers)))
        async with within():
            while await seen.get() != 2:
                pass
        await asyncio.to_thread(server.stop)
        async with within():
            while await seen.get() != 0:
                pass
        client.unsubscribe(subscription)
        client.unsubscribe(subscription)


async def test_a_server_that_is_not_there(unused_port: int) -> None:
    async with ComputeClient(f"http://127.0.0.1:{unused_port}", mqtt_broker="off") as client:
        with pytest.raises(ServerUnavailableError, match=f"{unused_port}.*running"):
            await client.health()


def test_one_client_in_several_loops_in_turn(local_server: MakeServer, make_client: MakeClient) -> None:
    client = make_client(local_server())

    async def use() -> str:
        return (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status.value

    async def use_and_close() -> str:
        async with client:
            return await use()

    assert [asyncio.run(use_and_close()), asyncio.run(use_and_close())] == ["completed", "completed"]


async def test_two_loops_at_once_are_refused(local_server: MakeServer, make_client: MakeClient) -> None:
    async with make_client(local_server()) as client:
        with pytest.raises(ComputeClientError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, client.health())
