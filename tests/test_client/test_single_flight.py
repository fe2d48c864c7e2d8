"""Single flight: one call for all who ask for the same at the same time."""

from __future__ import annotations

import asyncio

import pytest

from cl_client._core.single_flight import SingleFlight
from patience import soon


class Source:
    """Reads that end when the test says so."""

    def __init__(self) -> None:
        self.reads: list[asyncio.Future[str]] = []
        self.begun = asyncio.Event()

    async def read(self) -> str:
        self.reads.append(asyncio.get_running_loop().create_future())
        self.begun.set()
        return await self.reads[-1]


async def joined(shared: SingleFlight[str], source: Source, count: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(shared.get("a", source.read)) for _ in range(count)]
    await soon(source.begun.wait())
    source.begun.clear()
    return tasks


async def test_callers_at_the_same_time_share_a_read() -> None:
    source, shared = Source(), SingleFlight[str]()
    tasks = await joined(shared, source, 3)
    tasks[0].cancel()
    source.reads[0].set_result("one")
    assert await asyncio.gather(*tasks[1:]) == ["one", "one"]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    later = await joined(shared, source, 1)
    source.reads[1].set_result("two")
    assert await later[0] == "two"
    assert len(source.reads) == 2


async def test_an_error_is_everybodys() -> None:
    source, shared = Source(), SingleFlight[str]()
    tasks = await joined(shared, source, 2)
    source.reads[0].set_exception(OSError("no"))
    assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == ["no", "no"]


async def test_a_read_ends_with_the_last_who_waits() -> None:
    source, shared = Source(), SingleFlight[str]()
    tasks = await joined(shared, source, 2)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert source.reads[0].cancelled()


async def test_nobody_joins_a_read_that_is_out_of_date() -> None:
    source, shared = Source(), SingleFlight[str]()
    before = await joined(shared, source, 1)
    shared.renew("a")
    after = await joined(shared, source, 1)
    for number, read in enumerate(source.reads):
        read.set_result(str(number))
    assert [await task for task in (*before, *after)] == ["0", "1"]


async def test_callers_in_a_tight_loop_let_others_go_on() -> None:
    shared, turns = SingleFlight[str](), 0

    async def read() -> str:
        return "at once"

    async def ask() -> None:
        for _ in range(1000):
            await shared.get("a", read)

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(ask() for _ in range(3)))
    ticking.cancel()
    assert turns >= 1000
