"""Which job is read next: bounded, endings first, none twice at once; and ended jobs in memory."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client import JobResponse, ServerUnavailableError
from cl_client._jobs.reader import JobReader, ReadReason
from patience import NEVER, soon, within

if TYPE_CHECKING:
    from collections.abc import Callable


def job_of(job_id: str, status: str) -> JobResponse:
    return JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": status})


class Outcomes:
    """What became of the reads."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.failed: list[str] = []
        self.errors: list[Exception] = []
        self.news = asyncio.Event()

    def on_read(self, job_id: str, job: JobResponse) -> None:
        assert job.job_id == job_id
        self.read.append(job_id)
        self.news.set()

    def on_read_failed(self, job_id: str, error: Exception) -> None:
        assert error
        self.failed.append(job_id)
        self.errors.append(error)
        self.news.set()


class Reader:
    """Reads that a test lets end one by one."""

    def __init__(self, limit: int) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._gates: dict[str, asyncio.Future[JobResponse]] = {}
        self.jobs = JobReader(self._fetch, limit=limit, cache_size=2)

    async def _fetch(self, job_id: str) -> JobResponse:
        self.begun.append(job_id)
        gate: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()
        self._gates[job_id] = gate
        try:
            return await gate
        finally:
            await asyncio.sleep(0)  # as a request that closes its connection
            self.ended.append(job_id)

    async def end(self, job_id: str) -> None:
        self._gates[job_id].set_result(job_of(job_id, "completed"))
        await settle()

    async def fail(self, job_id: str, error: Exception) -> None:
        self._gates[job_id].set_exception(error)
        await settle()

    async def cancel_inside(self, job_id: str) -> None:
        """What it waits for is cancelled, not the read."""
        self._gates[job_id].cancel()
        await settle()


class Pauses:
    """The timers of the reader, which expire when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        self._expire: Callable[[], object] | None = None
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(self._loop, "call_later", self._call_later)

    def _call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        self.seconds.append(seconds)
        self._expire = callback
        return self._loop.call_at(self._loop.time() + NEVER, callback)

    async def expire(self) -> None:
        assert self._expire is not None
        self._expire()
        await settle()


def unreachable() -> ServerUnavailableError:
    error = ServerUnavailableError("refused")
    error.may_have_been_accepted = False
    return error


async def settle() -> None:
    for _ in range(10):
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


async def test_a_server_that_is_away_is_asked_for_one_job_at_a_time() -> None:
    tried: list[str] = []
    away = True

    async def fetch(job_id: str) -> JobResponse:
        tried.append(job_id)
        if away:
            raise unreachable()
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


async def test_reads_pause_while_the_server_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, reader = Pauses(monkeypatch), Reader(limit=3)
    for job_id in "abcdefghi":
        reader.jobs.ask(job_id, ReadReason.RECONCILE)
    await settle()
    for job_id in "abc":
        await reader.fail(job_id, unreachable())
    assert "".join(reader.begun) == "abc"
    assert len(pauses.seconds) == 1
    await pauses.expire()
    assert "".join(reader.begun) == "abcd"
    await reader.fail("d", unreachable())
    assert "".join(reader.begun) == "abcd"
    await pauses.expire()
    assert "".join(reader.begun) == "abcde"
    await reader.end("e")
    assert "".join(reader.begun) == "abcdefgh"
    assert len(pauses.seconds) == 2
    await reader.jobs.close()


async def test_any_answer_ends_the_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, reader = Pauses(monkeypatch), Reader(limit=2)
    for job_id in "abcdef":
        reader.jobs.ask(job_id, ReadReason.RECONCILE)
    await settle()
    await reader.end("a")
    await reader.fail("b", unreachable())
    await pauses.expire()
    assert "".join(reader.begun) == "abc"  # and the read of c goes on
    await reader.fail("c", ServerUnavailableError("it has answered with an error"))
    assert "".join(reader.begun) == "abcde"
    await reader.fail("d", unreachable())
    assert "".join(reader.begun) == "abcde"
    assert len(pauses.seconds) == 2
    assert max(pauses.seconds) <= 0.4  # the second one is a first one again
    await reader.jobs.close()


async def pauses_of(attempts: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a reader pauses after each of so many attempts in a row to reach the server."""
    pauses, reader = Pauses(monkeypatch), Reader(limit=1)
    reader.jobs.ask("a", ReadReason.RECONCILE)
    await settle()
    for _ in range(attempts):
        reader.jobs.ask("a", ReadReason.RECONCILE)
        await reader.fail("a", unreachable())
        await pauses.expire()
    await reader.jobs.close()
    return pauses.seconds


@pytest.mark.parametrize(("share", "of_bounds"), [(0.5, min), (1.0, max)])
async def test_the_pauses_grow_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, share: float, of_bounds: Callable[[float, float], float]
) -> None:
    monkeypatch.setattr(random, "uniform", of_bounds)
    longest = [0.4, 0.8, 1.6, *[2.0] * 1100]  # 2.0**1100 is too large for a float
    assert await pauses_of(len(longest), monkeypatch) == [share * seconds for seconds in longest]


async def test_clients_do_not_all_come_back_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(set(await pauses_of(10, monkeypatch))) == 10


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
