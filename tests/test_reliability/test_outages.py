"""Brokers and servers that end while jobs are in flight, and come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cl_client.testing import FaultyServer
from followers import Log
from patience import SECONDS, soon
from pictures import corners_picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client import ComputeClient, JobResponse
    from cl_client.local import LocalServer
    from server_process import ServerProcess
    from support import Mosquitto

    MakeServer = Callable[..., LocalServer]
    MakeClient = Callable[..., ComputeClient]
    MakeMosquitto = Callable[..., Mosquitto]

JOBS = 200


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_broker_that_ends_under_running_jobs(
    end: str,
    local_server: MakeServer,
    make_client: MakeClient,
    make_mosquitto: MakeMosquitto,
) -> None:
    broker = make_mosquitto()
    ended: list[str] = []
    all_ended = asyncio.Event()

    def on_complete(job: JobResponse) -> None:
        assert job.task_output is not None
        ended.append(job.job_id)
        if len(ended) == JOBS:
            all_ended.set()

    server = local_server(mqtt_url=broker.url)
    async with FaultyServer(server) as faulty, make_client(server) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        # The only worker is at this one, so that all the others are in flight until it ends.
        held = faulty.hold_job()
        await client.hash.compute(b"first")
        await soon(held.reached())
        jobs = [await client.hash.compute(b"%d" % n, on_complete=on_complete) for n in range(JOBS)]
        await asyncio.to_thread(broker.stop if end == "stop" else broker.kill)
        held.release()
        await asyncio.to_thread(broker.start)
        await soon(all_ended.wait())
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        assert (await client.hash.compute(b"after", wait=True, timeout=SECONDS)).status == "completed"
    assert sorted(ended) == sorted(job.job_id for job in jobs)


async def test_a_server_that_is_killed_while_it_works(
    server_process: ServerProcess, make_client: MakeClient, tmp_path: Path
) -> None:
    corners_picture().save(picture := tmp_path / "picture.png")
    logs = [Log() for _ in range(10)]
    async with make_client(server_process) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        jobs = [
            await client.media_thumbnail.generate(
                picture, width=8, on_progress=log.progress, on_complete=log.complete
            )
            for log in logs
        ]
        waiting = asyncio.create_task(client.wait_for_job(jobs[-1].job_id, timeout=SECONDS))
        assert await server_process.reached() == jobs[0].job_id
        server_process.release()
        await logs[0].the_end()
        assert await server_process.reached() == jobs[1].job_id
        server_process.report(50)
        await logs[1].was_told("processing")
        await asyncio.to_thread(server_process.kill)
        await asyncio.to_thread(server_process.start)
        # The one that was interrupted runs again; what it had told already is not told again.
        for _ in logs[1:]:
            await server_process.reached()
            server_process.release()
        assert [(await log.the_end()).job_id for log in logs] == [job.job_id for job in jobs]
        assert (await waiting).task_output == {"media_type": "image"}
    assert all(len(set(log.told)) == len(log.told) for log in logs)
