"""Push that is connected and delivers nothing, told from jobs that just have no event."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import httpx
import pytest

from cl_client import ComputeClientConfig, JobResponse
from cl_client._http.errors import Asked, error_for
from cl_client._jobs.push_health import SILENT_JOBS, PushHealth
from cl_client.models import JobEvent
from patience import FACTOR, soon
from tracked_jobs import tracker_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client._jobs.tracker import JobTracker

CONFIG = ComputeClientConfig.create(mqtt_broker="mqtt://broker.example")
# Reads, by which an end is found, come later than any event would.
READ_LATE = ComputeClientConfig(
    poll_min=1.1 * FACTOR, poll_interval=1.1 * FACTOR, poll_interval_push=1.1 * FACTOR
)
JOBS = [f"job-{number}" for number in range(SILENT_JOBS)]


def job(job_id: str, status: str) -> JobResponse:
    return JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": status})


def levels(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [record.levelno for record in caplog.records if record.name == "cl_client.mqtt"]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def health(told: list[str]) -> PushHealth:
    health = PushHealth(CONFIG, lambda: told.append("silent"))
    health.connected = True
    return health


def test_jobs_in_a_row_without_an_event_are_told_once(
    health: PushHealth, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(SILENT_JOBS - 1):
        health.ended_without_event(60)
    assert health.is_live
    assert not caplog.records
    for _ in range(3):
        health.ended_without_event(60)
    assert not health.is_live
    assert (told, levels(caplog)) == (["silent"], [logging.WARNING])
    assert "mqtt://broker.example:1883" in caplog.text
    assert "topic read inference/events" in caplog.text


def test_the_first_event_is_the_end_of_it_and_told_once(
    health: PushHealth, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    health.event_seen()
    for _ in range(SILENT_JOBS):
        health.ended_without_event(60)
    for _ in range(3):
        health.event_seen()
    assert health.is_live
    assert levels(caplog) == [logging.WARNING, logging.INFO]


def test_an_event_of_any_job_breaks_the_row(health: PushHealth) -> None:
    for _ in range(10):
        health.ended_without_event(60)
        health.ended_without_event(60)
        health.event_seen()
    assert health.is_live


def test_an_event_may_be_a_little_late(health: PushHealth) -> None:
    for _ in range(10):
        health.ended_without_event(0.05)
    assert health.is_live


def test_without_a_connection_nothing_is_live() -> None:
    assert not PushHealth(CONFIG, lambda: None).is_live


def submitted(tracker: JobTracker, job_id: str, *, fresh: bool = True) -> None:
    tracker.subscribe(job_id, None, None, submitted=job(job_id, "queued"), fresh=fresh)


def taken_up_by_its_id(tracker: JobTracker, job_id: str) -> None:
    tracker.subscribe(job_id, None, None)


def submitted_while_there_was_no_push(tracker: JobTracker, job_id: str) -> None:
    submitted(tracker, job_id, fresh=False)


def failed_without_an_event_after_it_was_queued(tracker: JobTracker, job_id: str) -> None:
    submitted(tracker, job_id)
    tracker.on_event(JobEvent(job_id=job_id, event_type="queued"))


def announced_before_the_submit_call_returned(tracker: JobTracker, job_id: str) -> None:
    with tracker.submitting():
        tracker.on_event(JobEvent(job_id=job_id, event_type="queued"))
    submitted(tracker, job_id)


def lived_through_a_reconnect(tracker: JobTracker, job_id: str) -> None:
    submitted(tracker, job_id)
    tracker.reconcile()


def lost_push(tracker: JobTracker, job_id: str) -> None:
    submitted(tracker, job_id)
    tracker.on_push_lost()


def deleted(tracker: JobTracker, job_id: str) -> None:
    submitted(tracker, job_id)


NO_PROOF = [
    taken_up_by_its_id,
    submitted_while_there_was_no_push,
    failed_without_an_event_after_it_was_queued,
    announced_before_the_submit_call_returned,
    lived_through_a_reconnect,
    lost_push,
    deleted,
]


async def makes_push_silent(begin: Callable[[JobTracker, str], None]) -> bool:
    """Follow jobs from such a beginning to their end, of which no event tells."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ended: asyncio.Queue[JobResponse] = asyncio.Queue()

    async def read(job_id: str) -> JobResponse:
        if loop.time() < begun + 1:
            return job(job_id, "queued")
        if begin is deleted:
            raise error_for(
                httpx.Response(
                    404,
                    json={"detail": f"Job {job_id} not found"},
                    request=httpx.Request("GET", f"http://server/jobs/{job_id}"),
                ),
                Asked.JOB,
            )
        return job(job_id, "error")

    tracker = tracker_of(read, READ_LATE)
    for job_id in JOBS:
        begin(tracker, job_id)
        tracker.subscribe(job_id, None, ended.put_nowait)
    for _ in JOBS:
        await soon(ended.get())
    await tracker.close()
    return tracker.push.is_silent


async def test_what_proves_that_push_is_silent() -> None:
    kinds = [submitted, *NO_PROOF]
    found = await asyncio.gather(*(makes_push_silent(kind) for kind in kinds))
    silent = {kind.__name__ for kind, is_silent in zip(kinds, found, strict=True) if is_silent}
    assert silent == {"submitted"}


async def test_jobs_that_are_followed_already_are_read_sooner_from_then_on() -> None:
    async def read(job_id: str) -> JobResponse:
        return job(job_id, "completed")

    config = ComputeClientConfig(poll_min=600, poll_interval=0.05, poll_interval_push=600)
    tracker = tracker_of(read, config)
    ended: asyncio.Queue[JobResponse] = asyncio.Queue()
    tracker.subscribe("j", None, ended.put_nowait, submitted=job("j", "queued"), fresh=True)
    await asyncio.sleep(0)
    for _ in range(SILENT_JOBS):
        tracker.push.ended_without_event(60)
    assert (await soon(ended.get())).status == "completed"
    await tracker.close()


async def test_how_long_a_job_had_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(job_id: str) -> JobResponse:
        return job(job_id, "completed")

    lasted: list[float] = []
    tracker = tracker_of(read)
    monkeypatch.setattr(tracker.push, "ended_without_event", lasted.append)
    ended: asyncio.Queue[JobResponse] = asyncio.Queue()
    before = asyncio.get_running_loop().time()
    tracker.subscribe("j", None, ended.put_nowait, submitted=job("j", "queued"), fresh=True)
    await soon(ended.get())
    assert len(lasted) == 1
    assert 0 <= lasted[0] <= asyncio.get_running_loop().time() - before
    await tracker.close()
