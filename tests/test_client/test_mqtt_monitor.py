"""Callbacks and subscription ids, as an application uses them; jobs go on when the test says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from patience import SECONDS, soon

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from cl_client import ComputeClient, JobResponse
    from cl_client.testing import FaultyServer


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
async def client(faulty_server: FaultyServer) -> AsyncGenerator[ComputeClient]:
    async with faulty_server.client() as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        yield client


async def test_progress_many_times_and_completion_once(
    client: ComputeClient, faulty_server: FaultyServer
) -> None:
    held, told = faulty_server.hold_job(), Told()
    await client.hash.compute(b"x", on_progress=told.on_progress, on_complete=told.on_complete)
    await soon(held.reached())
    for percent in (30, 70):
        held.report(percent)
        await told.until(lambda percent=percent: percent in told.progress)
    held.release()
    await told.until(lambda: bool(told.ended))
    assert told.ended == ["completed"]
    assert told.progress == sorted(told.progress)


async def test_a_job_that_fails_is_told_of_as_well(
    client: ComputeClient, faulty_server: FaultyServer
) -> None:
    held, told = faulty_server.hold_job(), Told()
    await client.hash.compute(b"x", on_complete=told.on_complete)
    await soon(held.reached())
    held.fail("no reason")
    await told.until(lambda: bool(told.ended))
    assert told.ended == ["failed"]


async def test_an_id_ends_one_subscription_and_leaves_the_others(
    client: ComputeClient, faulty_server: FaultyServer
) -> None:
    held = faulty_server.hold_job()
    submitted = await client.hash.compute(b"x")
    await soon(held.reached())
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
    held.report(40)
    await staying.until(lambda: 40 in staying.progress)
    held.release()
    for told in (staying, late):
        await told.until(lambda told=told: bool(told.ended))
        assert told.ended == ["completed"]
    assert (leaving.ended, late.progress) == ([], [])
    assert 40 not in leaving.progress
