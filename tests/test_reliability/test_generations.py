"""The promises on every server generation, with the embedded broker and a Mosquitto behind TLS."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from cl_client import JobNotFoundError, JobResponse
from cl_client.testing import FaultyServer, Stall
from followers import Log
from patience import SECONDS, soon
from support import NO_SLOW_READS, client_of, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from cl_client import ComputeClient
    from cl_client.local import LocalServer
    from cl_client.models import TaskOutput
    from cl_client.options import SubmitOptions
    from support import Mosquitto, TLSFiles


@dataclass
class Place:
    """A server, and a way to make clients of it."""

    faulty: FaultyServer
    mqtt: dict[str, object]

    def client(self, **settings: object) -> ComputeClient:
        return client_of(self.faulty.server, **{**NO_SLOW_READS, **self.mqtt, **settings})


@pytest.fixture(params=["A", "B", "C"])
def generation(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


@pytest.fixture(params=["embedded", "mosquitto"])
async def place(
    *,
    request: pytest.FixtureRequest,
    generation: str,
    local_server: Callable[..., LocalServer],
    make_mosquitto: Callable[[str], Mosquitto],
    password_file: Path,
    tls_files: TLSFiles,
) -> AsyncGenerator[Place]:
    if cast("str", request.param) == "embedded":
        async with FaultyServer(local_server(generation)) as faulty:
            yield Place(faulty, {})
        return
    port = free_port()
    # Servers connect without TLS and without a password, as they do in the field.
    broker = make_mosquitto(
        f"allow_anonymous true\nlistener {port} 127.0.0.1\nallow_anonymous false\n"
        f"password_file {password_file}\n{tls_files.for_mosquitto}"
    )
    mqtt: dict[str, object] = {"mqtt_broker": f"mqtts://me:pw@127.0.0.1:{port}", "ca_file": tls_files.ca}
    async with FaultyServer(local_server(generation, mqtt_url=broker.url)) as faulty:
        yield Place(faulty, mqtt)


def options(log: Log) -> SubmitOptions[TaskOutput]:
    return {"on_progress": log.progress, "on_complete": log.complete}


@pytest.mark.parametrize("end", ["finish", "fail"])
async def test_a_job_that_ends(place: Place, generation: str, end: str) -> None:
    held, log = place.faulty.hold_job(), Log()
    async with place.client() as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        await client.submit_job("hash", b"x", {}, options(log))
        await soon(held.reached())
        # Each is waited for: of a job that hurries through them, some may never be read.
        await log.was_told("processing")
        held.report(40)
        if generation != "A":
            await log.was_told("processing", 40)
        if end == "finish":
            held.release()
        else:
            held.fail("the disk is full")
        job = await log.the_end()
    if end == "finish":
        assert job.task_output == {"media_type": "file"}
    else:
        assert job.status == "failed"
        assert "the disk is full" in (job.error_message or "")
    assert ("processing", 0) in log.told
    assert (("processing", 40) in log.told) is (generation != "A")


async def test_a_job_that_ends_before_its_submit_returns(place: Place) -> None:
    held, log, proxy = place.faulty.hold_job(), Log(), place.faulty.http
    async with (
        place.client(base_url=proxy.base_url) as client,
        place.client() as witness,
    ):
        for one in (client, witness):
            assert await one.mqtt_monitor.wait_connected(SECONDS)
        stall = Stall(after=0)
        proxy.plan(stall)
        submitting = asyncio.create_task(client.submit_job("hash", b"x", {}, options(log)))
        await soon(held.reached())
        held.release()
        await soon(stall.reached())
        job_id = JobResponse.model_validate_json(proxy.responses[-1].partition(b"\r\n\r\n")[2]).job_id
        await witness.wait_for_job(job_id, timeout=SECONDS)
        stall.release()
        assert (await submitting).job_id == job_id
        job = await log.the_end()
    assert job.task_output == {"media_type": "file"}


async def test_a_job_that_is_deleted_while_it_runs(place: Place) -> None:
    held, log = place.faulty.hold_job(), Log()
    async with place.client() as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        job = await client.submit_job("hash", b"x", {}, options(log))
        waiting = asyncio.create_task(client.wait_for_job(job.job_id, timeout=SECONDS))
        await soon(held.reached())
        await log.was_told("processing")
        await client.delete_job(job.job_id)
        with pytest.raises(JobNotFoundError):
            await waiting
        assert (await log.the_end()).status == "deleted"
