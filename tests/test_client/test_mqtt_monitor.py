"""Callbacks and subscription ids, as an application uses them; jobs go on when the test says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from patience import SECONDS, soon
from support import SCRIPTED, client_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from cl_client import ComputeClient, JobResponse
    from cl_client.local import LocalServer
    from support import ScriptedJobs


class Told:
    """What one pair of callbacks was told."""

    def __init__(self) -> None:
        self.progress: list[int] = []
        self.ended: list[str] = []
        self.changed = asyncio.Event()

    def on_progress(self, job: JobResponse) -> None:
        self.progress.append(job.progress)
        self.changed.set()

    def on_complete(self, job: JobResponse) -> None:
        self.ended.append(job.status)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await soon(self.changed.wait())
            self.changed.clear()


@pytest.fixture
async def client(local_server: Callable[[], LocalServer]) -> AsyncGenerator[ComputeClient]:
    async with client_of(local_server()) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        yield client


async def test_progress_many_times_and_completion_once(
    client: ComputeClient, scripted_jobs: ScriptedJobs
) -> None:
    told = Told()
    await client.submit_job(
        SCRIPTED,
        scripted_jobs.script,
        {},
        {"on_progress": told.on_progress, "on_complete": told.on_complete},
    )
    job = await scripted_jobs.started()
    for percent in (30, 70):
        scripted_jobs.tell(job, f"progress {percent}")
        await told.until(lambda percent=percent: percent in told.progress)
    scripted_jobs.tell(job, "finish")
    await told.until(lambda: bool(told.ended))
    assert told.ended == ["completed"]
    assert told.progress == sorted(told.progress)


async def test_a_job_that_fails_is_told_of_as_well(
    client: ComputeClient, scripted_jobs: ScriptedJobs
) -> None:
    told = Told()
    await client.submit_job(SCRIPTED, scripted_jobs.script, {}, {"on_complete": told.on_complete})
    scripted_jobs.tell(await scripted_jobs.started(), "fail no reason")
    await told.until(lambda: bool(told.ended))
    assert told.ended == ["failed"]


async def test_an_id_ends_one_subscription_and_leaves_the_others(
    client: ComputeClient, scripted_jobs: ScriptedJobs
) -> None:
    submitted = await client.submit_job(SCRIPTED, scripted_jobs.script, {})
    job = await scripted_jobs.started()
    leaving, staying, late = Told(), Told(), Told()
    first = client.subscribe_job_updates(submitted.job_id, leaving.on_progress, leaving.on_complete)
    second = client.subscribe_job_updates(
        job_id=submitted.job_id, on_progress=staying.on_progress, on_complete=staying.on_complete
    )
    third = client.mqtt_monitor.subscribe_job_updates(submitted.job_id, None, late.on_complete)
    assert len({first, second, third}) == 3
    client.unsubscribe(first)
    client.unsubscribe(first)
    client.unsubscribe("nobody's")
    scripted_jobs.tell(job, "progress 40")
    await staying.until(lambda: 40 in staying.progress)
    scripted_jobs.tell(job, "finish")
    for told in (staying, late):
        await told.until(lambda told=told: bool(told.ended))
        assert told.ended == ["completed"]
    assert (leaving.ended, late.progress) == ([], [])
    assert 40 not in leaving.progress
