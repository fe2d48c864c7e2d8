"""Reads while the server is unreachable: one at a time, with growing pauses, until any answer comes."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from cl_client import JobResponse, ServerUnavailableError
from cl_client._jobs.reader import JobReader, ReadReason
from gated_reads import Outcomes, Reader, job_of, settle
from patience import NEVER, within

if TYPE_CHECKING:
    from collections.abc import Callable


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
