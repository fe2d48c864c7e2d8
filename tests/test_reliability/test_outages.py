"""Brokers and servers that end while jobs are in flight, and come back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import pytest

from followers import Log
from support import ENDPOINTS, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cl_client import ComputeClient, JobResponse
    from cl_client.local import LocalServer
    from support import Mosquitto, ScriptedJobs

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
    scripted_jobs: ScriptedJobs,
) -> None:
    broker = make_mosquitto()
    ended: list[str] = []
    all_ended = asyncio.Event()

    def on_complete(job: JobResponse) -> None:
        assert job.task_output is not None
        ended.append(job.job_id)
        if len(ended) == JOBS:
            all_ended.set()

    async with make_client(local_server(mqtt_url=broker.url)) as client:
        assert await client.mqtt_monitor.wait_connected(20)
        # The only worker is at this one, so that all the others are in flight until it ends.
        await client.submit_job("scripted", scripted_jobs.script, {})
        running = await scripted_jobs.started()
        jobs = [await client.hash.compute(b"%d" % n, on_complete=on_complete) for n in range(JOBS)]
        await asyncio.to_thread(broker.stop if end == "stop" else broker.kill)
        scripted_jobs.tell(running, "finish")
        await asyncio.to_thread(broker.start)
        await asyncio.wait_for(all_ended.wait(), 90)
        assert await client.mqtt_monitor.wait_connected(40)
        assert (await client.hash.compute(b"after", wait=True, timeout=20)).status == "completed"
    assert sorted(ended) == sorted(job.job_id for job in jobs)


SERVE_FOR_EVER = """
import sys, threading
from pathlib import Path
from cl_client.local import LocalServer
from support import SCRIPTED, SCRIPTED_TASK
server = LocalServer(
    workers=1, port=int(sys.argv[1]), mqtt_port=int(sys.argv[2]), data_dir=Path(sys.argv[3]),
    extra_tasks={SCRIPTED: SCRIPTED_TASK},
)
server.start()
print(server.base_url, server.mqtt_url, flush=True)
threading.Event().wait()
"""


class ServerProcess:
    """A local server with its broker in a process of its own, on ports that stay its own."""

    def __init__(self, data_dir: Path) -> None:
        arguments = [str(free_port()), str(free_port()), str(data_dir)]
        self._command = [sys.executable, "-c", SERVE_FOR_EVER, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.base_url = self.mqtt_url = ""

    def start(self) -> None:
        tests = Path(__file__).parents[1]
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=tests)  # noqa: S603 - our own
        self.base_url, self.mqtt_url = cast("IO[str]", self._process.stdout).readline().split()

    def kill(self) -> None:
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None


@pytest.fixture
def server_process(tmp_path: Path) -> Generator[ServerProcess]:
    process = ServerProcess(tmp_path)
    process.start()
    yield process
    process.kill()


async def test_a_server_that_is_killed_while_it_works(
    server_process: ServerProcess, make_client: MakeClient, scripted_jobs: ScriptedJobs
) -> None:
    logs = [Log() for _ in range(10)]
    async with make_client(server_process, plugin_endpoints=ENDPOINTS) as client:
        assert await client.mqtt_monitor.wait_connected(20)
        jobs = [
            await client.submit_job(
                "scripted",
                scripted_jobs.script,
                {},
                {"on_progress": log.progress, "on_complete": log.complete},
            )
            for log in logs
        ]
        waiting = asyncio.create_task(client.wait_for_job(jobs[-1].job_id, timeout=60))
        scripted_jobs.tell(await scripted_jobs.started(), "finish")
        await logs[0].the_end()
        scripted_jobs.tell(await scripted_jobs.started(), "progress 50")
        await logs[1].was_told("processing")
        await asyncio.to_thread(server_process.kill)
        await asyncio.to_thread(server_process.start)
        # The one that was interrupted runs again; what it had told already is not told again.
        for _ in logs[1:]:
            scripted_jobs.tell(await scripted_jobs.started(), "finish")
        assert [(await log.the_end()).job_id for log in logs] == [job.job_id for job in jobs]
        assert (await waiting).task_output == {"done": True}
    assert all(len(set(log.told)) == len(log.told) for log in logs)
