"""Which job is read next: bounded, endings first, none twice at once; and ended jobs in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client._jobs.reader import JobReader, ReadReason
from gated_reads import Outcomes, Reader, job_of, settle
from patience import soon

if TYPE_CHECKING:
    from cl_client import JobResponse


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


async def test_asked_again_before_its_read_has_started() -> None:
    reader = Reader(limit=1)
    reader.jobs.ask("a", ReadReason.FIRST)
    reader.jobs.ask("a", ReadReason.RECONCILE)
    await settle()
    await reader.end("a")
    assert reader.begun == ["a"]


@pytest.mark.parametrize(
    ("urgent", "other"),
    [
        (ReadReason.ENDING, ReadReason.SAFETY_NET),
        (ReadReason.ENDING, ReadReason.DELETED),
        (ReadReason.WORKER_IDLE, ReadReason.RECONCILE),
    ],
)
@pytest.mark.parametrize("urgent_first", [True, False])
async def test_the_second_read_has_the_most_urgent_reason(
    urgent: ReadReason, other: ReadReason, *, urgent_first: bool
) -> None:
    reader = Reader(limit=1)
    reader.jobs.ask("a", ReadReason.FIRST)
    await settle()
    for reason in (urgent, other) if urgent_first else (other, urgent):
        reader.jobs.ask("a", reason)
    await reader.end("a")
    assert reader.jobs.counts == {ReadReason.FIRST: 1, urgent: 1}
    await reader.jobs.close()


@pytest.mark.parametrize(
    ("reason", "reads"),
    [(ReadReason.RECONCILE, 1), (ReadReason.ENDING, 2), (ReadReason.DELETED, 2), (None, 1)],
)
async def test_only_known_changes_are_not_put_off(reason: ReadReason | None, reads: int) -> None:
    reader = Reader(limit=1)
    reader.jobs.ask("a", ReadReason.FIRST)
    await settle()
    if reason is not None:
        reader.jobs.ask("a", reason)
    reader.jobs.put_off("a")
    await reader.end("a")
    assert reader.begun == ["a"] * reads
    await reader.jobs.close()


async def test_dropped_while_it_is_read() -> None:
    reader, outcomes = Reader(limit=1), Outcomes()
    reader.jobs.tell(outcomes)
    reader.jobs.ask("a", ReadReason.FIRST)
    reader.jobs.ask("b", ReadReason.FIRST)
    await settle()
    reader.jobs.drop("a")
    await settle()
    assert (reader.ended, reader.begun) == (["a"], ["a", "b"])
    assert not outcomes.read
    assert not outcomes.failed
    await reader.jobs.close()


async def test_dropped_by_its_listener() -> None:
    class Dropping(Outcomes):
        @override
        def on_read(self, job_id: str, job: JobResponse) -> None:
            super().on_read(job_id, job)
            reader.jobs.drop(job_id)
            task = asyncio.current_task()
            assert task is not None
            cancelled.append(task.cancelling())

    cancelled: list[int] = []
    reader = Reader(limit=1)
    reader.jobs.tell(Dropping())
    reader.jobs.ask("a", ReadReason.FIRST)
    await settle()
    await reader.end("a")
    assert cancelled == [0]


async def test_a_read_that_something_else_cancels_has_failed() -> None:
    reader, outcomes = Reader(limit=1), Outcomes()
    reader.jobs.tell(outcomes)
    reader.jobs.ask("a", ReadReason.FIRST)
    await settle()
    await reader.cancel_inside("a")
    assert outcomes.failed == ["a"]
    assert "cancelled the read of job a" in str(outcomes.errors[0])


async def test_reads_without_a_listener(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(limit=2)
    reader.jobs.ask("a", ReadReason.FIRST)
    reader.jobs.ask("b", ReadReason.FIRST)
    await settle()
    await reader.end("a")
    await reader.fail("b", KeyError("of an auth provider"))
    assert reader.jobs.known_end("a") is not None
    assert not caplog.records


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
    assert reader.ended == ["a"]  # closing has waited for it
    await settle()
    assert reader.begun == ["a"]


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
