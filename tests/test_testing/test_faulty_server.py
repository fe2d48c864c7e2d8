"""Every fault that `FaultyServer` brings about, as the test of an application would use it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from cl_client import (
    AuthenticationError,
    JobNotFoundError,
    JWTAuthProvider,
    ServerBusyError,
    ServerUnavailableError,
)
from cl_client.local import LocalServer, ServerTLS
from cl_client.testing import FaultyServer, Stall
from followers import Log
from support import NO_SLOW_READS, heard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client.local import Generation
    from cl_client.local.tasks.job_hook import ClaimedJob
    from cl_client.testing import HeldJob
    from support import Mosquitto, TLSFiles


async def turns() -> None:
    """Let others begin what they wait for."""
    for _ in range(5):
        await asyncio.sleep(0)


async def reached(held: HeldJob) -> str:
    return await asyncio.wait_for(held.reached(), 20)


async def test_the_second_job_fails(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        faulty_server.fail_job("disk full", nth=2)
        jobs = [await client.hash.compute(b"x", wait=True) for _ in range(3)]
    assert [(job.status, job.error_message) for job in jobs] == [
        ("completed", None),
        ("failed", "disk full"),
        ("completed", None),
    ]


async def test_only_jobs_of_a_task_are_counted(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        faulty_server.fail_job("no exif today", task_type="exif")
        assert (await client.hash.compute(b"x", wait=True)).status == "completed"
        assert (await client.exif.extract(b"x", wait=True)).error_message == "no exif today"


async def test_a_job_is_held_and_goes_on(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        assert await client.mqtt_monitor.wait_connected(20)
        held, log = faulty_server.hold_job(at=40), Log()
        job = await client.hash.compute(b"x", on_progress=log.progress, on_complete=log.complete)
        assert await reached(held) == job.job_id
        await log.was_told("processing", 40)
        assert (await client.get_job(job.job_id)).progress == 40
        held.report(60)
        await log.was_told("processing", 60)
        assert not log.ended
        held.release()
        assert (await log.the_end()).status == "completed"


async def test_a_held_job_fails(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        held = faulty_server.hold_job()
        held.fail("out of memory")  # before it is there
        job = await client.hash.compute(b"x", wait=True)
        assert await reached(held) == job.job_id
    assert job.error_message == "out of memory"


async def test_a_held_job_can_be_deleted(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        held = faulty_server.hold_job(at=10)
        job = await client.hash.compute(b"x")
        await reached(held)
        await client.delete_job(job.job_id)
        held.release()
        with pytest.raises(JobNotFoundError):
            await client.get_job(job.job_id)
        assert (await client.hash.compute(b"x", wait=True)).status == "completed"


async def test_slow_jobs_are_slow_and_no_others(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        assert await client.mqtt_monitor.wait_connected(20)
        faulty_server.slow_jobs(600)
        log = Log()
        job = await client.hash.compute(b"x", on_progress=log.progress, on_complete=log.complete)
        await log.was_told("processing")
        await client.delete_job(job.job_id)
        faulty_server.slow_jobs(0)
        assert (await client.hash.compute(b"x", wait=True)).status == "completed"


async def test_no_worker_takes_a_job(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        await faulty_server.stop_workers()
        assert (await client.get_capabilities()).num_workers == 0
        job = await client.hash.compute(b"x")
        await faulty_server.start_workers()
        await faulty_server.start_workers()  # which changes nothing
        assert (await client.get_capabilities()).num_workers == 1
        assert (await client.wait_for_job(job.job_id)).status == "completed"


async def test_a_job_that_was_interrupted_runs_again(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        held = faulty_server.hold_job(at=70)
        job = await client.hash.compute(b"x")
        await reached(held)
        await faulty_server.stop_workers()
        await faulty_server.start_workers()
        assert (await client.wait_for_job(job.job_id)).status == "completed"


async def test_all_push_is_lost(faulty_server: FaultyServer) -> None:
    # Nothing is read in the time of this test, unless an event says so.
    async with (
        faulty_server.client(auth_provider=None, **NO_SLOW_READS) as client,
        faulty_server.server.client() as other,
    ):
        assert await client.mqtt_monitor.wait_connected(20)
        faulty_server.lose_push()
        lost, heard_of = Log(), Log()
        job = await client.hash.compute(b"x", on_progress=lost.progress, on_complete=lost.complete)
        assert (await other.wait_for_job(job.job_id, poll_interval=0.05)).status == "completed"
        assert not lost.ended
        assert client.mqtt_monitor.is_connected
        faulty_server.restore_push()
        await client.hash.compute(b"x", on_complete=heard_of.complete)
        await heard_of.the_end()
        await client.delete_job(job.job_id)


async def test_the_broker_is_away_and_comes_back(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        assert await client.mqtt_monitor.wait_connected(20)
        with heard("cl_client.mqtt", "No MQTT connection") as lost:
            await faulty_server.cut_push()
            await asyncio.wait_for(lost.wait(), 20)
        assert not client.mqtt_monitor.is_connected
        assert (await client.hash.compute(b"x", wait=True)).status == "completed"
        faulty_server.restore_push()
        assert await client.mqtt_monitor.wait_connected(60)


async def test_a_connection_is_dropped_within_the_response(faulty_server: FaultyServer) -> None:
    async with faulty_server.client(max_retries=0) as client:
        job = await client.hash.compute(b"x", wait=True)
        faulty_server.drop_connection(after=100, matching="^GET /jobs/")
        assert (await client.health()).service
        with pytest.raises(ServerUnavailableError, match="Lost the connection"):
            await client.get_job(job.job_id)
        assert (await client.get_job(job.job_id)).status == "completed"


async def test_the_server_is_too_busy(faulty_server: FaultyServer) -> None:
    async with faulty_server.client(max_retries=0) as client:
        faulty_server.respond_unavailable(retry_after=7)
        with pytest.raises(ServerBusyError) as refused:
            await client.hash.compute(b"x")
        assert refused.value.retry_after == 7
        faulty_server.respond_unavailable()
        with pytest.raises(ServerBusyError) as refused:
            await client.health()
        assert refused.value.retry_after is None


async def test_a_token_expires_meanwhile(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        job = await client.hash.compute(b"x", wait=True)
        faulty_server.respond_unauthorized(times=1)
        with pytest.raises(AuthenticationError):
            await client.get_job(job.job_id)
        assert (await client.get_job(job.job_id)).status == "completed"


async def test_a_restart_keeps_the_jobs_and_the_addresses(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        done = await client.hash.compute(b"x", wait=True)
        held = faulty_server.hold_job(at=50)
        running = await client.hash.compute(b"y")
        await reached(held)
        await faulty_server.restart()
        assert (await client.get_job(done.job_id)).status == "completed"
        assert (await client.wait_for_job(running.job_id)).status == "completed"


async def test_a_server_that_is_away_breaks_connections(faulty_server: FaultyServer) -> None:
    async with faulty_server.client(max_retries=0) as client:
        await faulty_server.stop()
        with pytest.raises(ServerUnavailableError):
            await client.health()
        await faulty_server.start()
        assert (await client.health()).service


async def test_all_faults_end_with_the_block(tmp_path: Path) -> None:
    with LocalServer(workers=1, data_dir=tmp_path) as server:
        async with FaultyServer(server) as faulty, faulty.client() as client:
            held = faulty.hold_job(at=5)
            job = await client.hash.compute(b"x")
            await reached(held)
            faulty.fail_job("never mind")
            faulty.lose_push()
            faulty.plan(Stall(after=0), times=99)
            await faulty.stop()
        assert server.before_job is None
        async with server.client() as client:
            assert (await client.wait_for_job(job.job_id)).status == "completed"
            assert (await client.hash.compute(b"x", wait=True)).status == "completed"


async def test_a_hook_with_a_mistake_fails_its_job() -> None:
    async def before_job(job: ClaimedJob) -> None:
        raise ZeroDivisionError(job.task_type)

    with LocalServer(workers=1, before_job=before_job) as server:
        async with server.client() as client:
            job = await client.hash.compute(b"x", wait=True)
    assert job.error_message == "before_job failed: ZeroDivisionError('hash')"


async def test_one_of_its_own() -> None:
    async with FaultyServer() as server, server.client() as client:
        job = await client.hash.compute(b"x", wait=True)
        await server.restart()
        assert await client.get_job(job.job_id) == job
    assert not server.server.is_running


async def test_a_server_without_a_folder_keeps_its_jobs() -> None:
    server = LocalServer(workers=1)
    async with FaultyServer(server) as faulty, faulty.client() as client:
        job = await client.hash.compute(b"x", wait=True)
        await faulty.restart()
        assert await client.get_job(job.job_id) == job
    assert server.settings.data_dir is None


async def test_jobs_that_wait_go_on_when_faults_are_cleared(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        assert await client.mqtt_monitor.wait_connected(20)
        faulty_server.slow_jobs(600)
        log = Log()
        await client.hash.compute(b"x", on_progress=log.progress, on_complete=log.complete)
        await log.was_told("processing")
        await faulty_server.clear_faults()
        assert (await log.the_end()).status == "completed"


async def test_jobs_that_are_left_can_be_deleted(faulty_server: FaultyServer) -> None:
    async with faulty_server.client() as client:
        done = await client.hash.compute(b"x", wait=True)
        held = faulty_server.hold_job()
        jobs = [await client.hash.compute(b"x") for _ in range(3)]
        await reached(held)
        await asyncio.to_thread(faulty_server.server.delete_jobs)
        for job in [done, *jobs]:
            with pytest.raises(JobNotFoundError):
                await client.get_job(job.job_id)
        faulty_server.fail_job("the next one")
        assert (await client.hash.compute(b"x", wait=True)).error_message == "the next one"


async def test_an_impossible_progress_is_refused(faulty_server: FaultyServer) -> None:
    with pytest.raises(ValueError, match="progress is 101"):
        faulty_server.hold_job().report(101)


async def test_two_jobs_are_held_at_once(tmp_path: Path) -> None:
    async with FaultyServer(LocalServer(workers=3, data_dir=tmp_path)) as faulty, faulty.client() as client:
        one, two = faulty.hold_job(at=10), faulty.hold_job(at=20, nth=2)
        jobs = [await client.hash.compute(b"x") for _ in range(2)]
        assert {await reached(one), await reached(two)} == {job.job_id for job in jobs}
        assert (await client.hash.compute(b"x", wait=True)).status == "completed"
        await client.delete_job(await reached(one))
        two.release()
        assert (await client.wait_for_job(await reached(two))).status == "completed"


@pytest.mark.parametrize("generation", ["A", "B"])
async def test_older_servers(generation: Generation) -> None:
    server = LocalServer(workers=1, generation=generation)
    async with FaultyServer(server) as faulty, faulty.client() as client:
        faulty.fail_job("disk full")
        assert (await client.hash.compute(b"x", wait=True)).error_message == "disk full"


async def test_a_server_with_tls_and_logins(tls_files: TLSFiles) -> None:
    tls = ServerTLS(tls_files.server_cert, tls_files.server_key)
    server = LocalServer(workers=1, auth=True, mqtt_auth=True, tls=tls)
    async with FaultyServer(server) as faulty:
        token = server.issue_token()
        login: dict[str, object] = {"mqtt_username": "admin", "mqtt_password": token}
        async with faulty.client(
            auth_provider=JWTAuthProvider(token), ca_file=tls_files.ca, **login
        ) as client:
            assert faulty.base_url.startswith("https:")
            assert await client.mqtt_monitor.wait_connected(20)
            faulty.fail_job("disk full")
            assert (await client.hash.compute(b"x", wait=True)).error_message == "disk full"
            faulty.drop_connection(after=10)
            assert (await client.health()).service


async def test_an_external_broker_with_a_password(
    make_mosquitto: Callable[[str], Mosquitto], password_file: Path
) -> None:
    broker = make_mosquitto(f"password_file {password_file}")
    server = LocalServer(workers=1, mqtt_url=f"mqtt://me:pw@127.0.0.1:{broker.port}")
    async with FaultyServer(server) as faulty, faulty.client() as client:
        assert await client.mqtt_monitor.wait_connected(20)
        await faulty.cut_push()
        faulty.restore_push()
        assert await client.mqtt_monitor.wait_connected(20)


def server_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("cl-local-server")}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("step", ["enter", "stop", "start", "exit"])
async def test_nothing_is_left_when_it_is_cancelled(step: str, times: int) -> None:
    faulty, there = FaultyServer(), asyncio.Event()

    async def use() -> None:
        if step == "enter":
            there.set()
        async with faulty:
            if step == "stop":
                there.set()
            await faulty.stop()
            if step == "start":
                there.set()
                await faulty.start()
            there.set()

    before = server_threads()
    using = asyncio.ensure_future(use())
    await there.wait()
    for _ in range(times):
        await turns()
        using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert server_threads() == before


async def test_a_shared_server_is_as_before_when_its_user_is_cancelled(tmp_path: Path) -> None:
    with LocalServer(workers=1, data_dir=tmp_path) as server:
        stopped = asyncio.Event()

        async def use() -> None:
            async with FaultyServer(server) as faulty:
                await faulty.stop()
                stopped.set()

        using = asyncio.ensure_future(use())
        await stopped.wait()
        for _ in range(2):
            await turns()
            using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert server.before_job is None
        async with server.client() as client:
            assert (await client.hash.compute(b"x", wait=True)).status == "completed"


@pytest.mark.parametrize(
    ("nth", "at", "words"), [(0, 0, "nth is 0"), (1, 101, "at is 101"), (1, -1, "at is -1")]
)
async def test_impossible_faults_are_refused(
    faulty_server: FaultyServer, nth: int, at: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        faulty_server.hold_job(at=at, nth=nth)
