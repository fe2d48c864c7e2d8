"""Which job is read next: bounded, endings first, none twice at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cl_client._jobs.read_queue import ReadQueue, ReadReason

if TYPE_CHECKING:
    import pytest


class Reader:
    """Reads that a test lets end one by one."""

    def __init__(self, limit: int) -> None:
        self.begun: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self.queue = ReadQueue(self._read, limit)

    async def _read(self, job_id: str) -> None:
        self.begun.append(job_id)
        gate = self._gates[job_id] = asyncio.Event()
        await gate.wait()

    async def end(self, job_id: str) -> None:
        self._gates[job_id].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_bounded_number_at_once_and_endings_first() -> None:
    reader = Reader(limit=2)
    for job_id in ("a", "b", "c", "d"):
        reader.queue.ask(job_id, ReadReason.RECONCILE)
    reader.queue.ask("e", ReadReason.ENDING)
    reader.queue.ask("d", ReadReason.ENDING)
    await settle()
    assert reader.begun == ["a", "b"]
    await reader.end("a")
    await reader.end("e")
    await reader.end("b")
    await reader.end("d")
    assert reader.begun == ["a", "b", "e", "d", "c"]
    assert reader.queue.counts == {ReadReason.RECONCILE: 3, ReadReason.ENDING: 2}
    await reader.queue.close()


async def test_asked_again_while_it_waits_or_is_read() -> None:
    reader = Reader(limit=1)
    reader.queue.ask("a", ReadReason.FIRST)
    reader.queue.ask("a", ReadReason.RECONCILE)
    await settle()
    assert reader.begun == ["a"]
    reader.queue.ask("a", ReadReason.SAFETY_NET)
    reader.queue.ask("a", ReadReason.ENDING)
    await reader.end("a")
    assert reader.begun == ["a", "a"]
    await reader.end("a")
    assert reader.begun == ["a", "a"]


async def test_dropped_before_its_first_step_and_asked_for_again() -> None:
    reader = Reader(limit=1)
    reader.queue.ask("a", ReadReason.FIRST)
    reader.queue.ask("b", ReadReason.FIRST)
    reader.queue.drop("a")
    reader.queue.drop("b")
    reader.queue.ask("a", ReadReason.FIRST)
    await settle()
    assert reader.begun == ["a"]
    await reader.end("a")
    assert reader.begun == ["a"]


async def test_a_fault_is_logged_and_costs_that_read_only(caplog: pytest.LogCaptureFixture) -> None:
    async def read(job_id: str) -> None:
        if job_id == "a":
            raise ZeroDivisionError(job_id)
        done.set()

    done = asyncio.Event()
    queue = ReadQueue(read, limit=1)
    queue.ask("a", ReadReason.FIRST)
    queue.ask("b", ReadReason.FIRST)
    await asyncio.wait_for(done.wait(), 5)
    assert "job a: a fault while reading it" in caplog.text
    await queue.close()


async def test_closing_ends_what_is_under_way() -> None:
    reader = Reader(limit=1)
    reader.queue.ask("a", ReadReason.FIRST)
    reader.queue.ask("b", ReadReason.FIRST)
    await settle()
    await reader.queue.close()
    await settle()
    assert reader.begun == ["a"]
