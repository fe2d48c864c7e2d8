"""Which job is read next: bounded, endings first, none twice at once; and ended jobs in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from typing_extensions import override

from cl_client import JobResponse, ServerUnavailableError
from cl_client._jobs.reader import JobReader, ReadReason
from patience import soon, within

if TYPE_CHECKING:
    import pytest


def job_of(job_id: str, status: str) -> JobResponse:
    return JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": status})


class Outcomes:
    """What became of the reads."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.failed: list[str] = []
        self.news = asyncio.Event()

    def on_read(self, job_id: str, job: JobResponse) -> None:
        assert job.job_id == job_id
        self.read.append(job_id)
        self.news.set()

    def on_read_failed(self, job_id: str, error: Exception) -> None:
        assert error
        self.failed.append(job_id)
        self.news.set()


class Reader:
    """Reads that a test lets end one by one."""

    def __init__(self, limit: int) -> None:
        self.begun: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self.jobs = JobReader(self._fetch, limit=limit, cache_size=2)

    async def _fetch(self, job_id: str) -> JobResponse:
        self.begun.append(job_id)
        gate = self._gates[job_id] = asyncio.Event()
        await gate.wait()
        return job_of(job_id, "completed")

    async def end(self, job_id: str) -> None:
        self._gates[job_id].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_bounded_number_at_once_and_endings_first() -> None:
    reader = Reader(limit=2)
    for job_id in ("a", "b", "c", "d"):
        reader.jobs.ask(job_id, ReadReason.RECONCILE)
    reader.jobs.ask("e", ReadReason.ENDING)
    reader.jobs.ask("d", ReadReason.ENDING)
    await settle()
    assert reader.begun == ["a", "b"]
    await reader.end("a")
    await reader.end("e")
    await reader.end("b")
    await reader.end("d")
    assert reader.begun == ["a", "b", "e", "d", "c"]
    assert reader.jobs.counts == {ReadReason.RECONCILE: 3, ReadReason.ENDING: 2}
    await reader.jobs.close()


async def test_asked_again_while_it_waits_or_is_read() -> None:
    reader = Reader(limit=1)
    reader.jobs.ask("a", ReadReason.FIRST)
    reader.jobs.ask("a", ReadReason.RECONCILE)
    await settle()
    assert reader.begun == ["a"]
    reader.jobs.ask("a", ReadReason.SAFETY_NET)
    reader.jobs.ask("a", ReadReason.ENDING)
    await reader.end("a")
    assert reader.begun == ["a", "a"]
    await reader.end("a")
    assert reader.begun == ["a", "a"]


async def test_dropped_before_its_first_step_and_asked_for_again() -> None:
    reader = Reader(limit=1)
    reader.jobs.ask("a", ReadReason.FIRST)
    reader.jobs.ask("b", ReadReason.FIRST)
    reader.jobs.drop("a")
    reader.jobs.drop("b")
    reader.jobs.ask("a", ReadReason.FIRST)
    await settle()
    assert reader.begun == ["a"]
    await reader.end("a")
    assert reader.begun == ["a"]


async def test_a_fault_of_the_listener_is_logged_and_costs_that_read_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(Outcomes):
        @override
        def on_read(self, job_id: str, job: JobResponse) -> None:
            super().on_read(job_id, job)
            if job_id == "a":
                raise ZeroDivisionError(job_id)
            done.set()

    async def fetch(job_id: str) -> JobResponse:
        return job_of(job_id, "processing")

    done = asyncio.Event()
    reader = JobReader(fetch, limit=1, cache_size=0)
    reader.tell(Faulty())
    reader.ask("a", ReadReason.FIRST)
    reader.ask("b", ReadReason.FIRST)
    await soon(done.wait())
    assert "job a: unexpected error while reading it" in caplog.text
    await reader.close()


async def test_closing_ends_what_is_under_way() -> None:
    reader = Reader(limit=1)
    reader.jobs.ask("a", ReadReason.FIRST)
    reader.jobs.ask("b", ReadReason.FIRST)
    await settle()
    await reader.jobs.close()
    await settle()
    assert reader.begun == ["a"]


async def test_a_server_that_is_away_is_asked_for_one_job_at_a_time() -> None:
    tried: list[str] = []
    away = True

    async def fetch(job_id: str) -> JobResponse:
        tried.append(job_id)
        if away:
            error = ServerUnavailableError("refused")
            error.may_have_been_accepted = False
            raise error
        return job_of(job_id, "processing")

    reader, outcomes = JobReader(fetch, limit=2, cache_size=0), Outcomes()
    reader.tell(outcomes)
    names = [str(number) for number in range(50)]
    for name in names:
        reader.ask(name, ReadReason.RECONCILE)
    async with within():
        while len(outcomes.failed) < 4:
            outcomes.news.clear()
            await outcomes.news.wait()
        assert len(tried) <= len(outcomes.failed) + 1
        away = False
        while len(outcomes.read) + len(outcomes.failed) < len(names):
            outcomes.news.clear()
            await outcomes.news.wait()
    assert sorted(tried, key=int) == names
    await reader.close()


async def read_now(status: str, job_id: str, reader: JobReader, states: dict[str, str]) -> None:
    states[job_id] = status
    await reader.read(job_id)


async def test_only_ended_jobs_are_kept_and_only_so_many() -> None:
    states: dict[str, str] = {}

    async def fetch(job_id: str) -> JobResponse:
        return job_of(job_id, states[job_id])

    reader = JobReader(fetch, limit=1, cache_size=2)
    for job_id, status in (("a", "completed"), ("b", "error"), ("c", "processing")):
        await read_now(status, job_id, reader, states)
    assert [known is not None for known in map(reader.known_end, "cba")] == [False, True, True]
    await read_now("completed", "d", reader, states)
    assert [known is not None for known in map(reader.known_end, "bad")] == [False, True, True]
    reader.forget("a")
    assert reader.known_end("a") is None
    nothing_kept = JobReader(fetch, limit=1, cache_size=0)
    await read_now("completed", "a", nothing_kept, states)
    assert nothing_kept.known_end("a") is None


async def test_a_read_that_began_before_its_deletion_does_not_bring_a_job_back() -> None:
    reader = Reader(limit=1)

    async def begun(job_id: str) -> asyncio.Task[JobResponse]:
        task = asyncio.create_task(reader.jobs.read(job_id))
        await settle()
        return task

    before = await begun("a")
    end_of_a = reader.end
    other = await begun("b")
    reader.jobs.forget("a")
    await end_of_a("a")
    await before
    assert reader.jobs.known_end("a") is None
    after = await begun("a")
    await reader.end("a")
    await reader.end("b")
    await asyncio.gather(after, other)
    assert reader.jobs.known_end("a") is not None
    assert reader.jobs.known_end("b") is not None
