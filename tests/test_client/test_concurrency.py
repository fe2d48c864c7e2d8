"""Many calls, a few at a time: order, bounds, errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import weakref
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClientError, InvalidParameterError, map_concurrently
from patience import within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")


class Calls:
    """Calls that end when a test says so."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Future[str]] = {}
        self.cancelled: list[int] = []
        self._changed = asyncio.Event()

    async def __call__(self, number: int) -> str:
        self.waiting[number] = asyncio.get_running_loop().create_future()
        self._changed.set()
        try:
            return await self.waiting[number]
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            del self.waiting[number]
            self._changed.set()

    async def begun(self, *numbers: int) -> None:
        """Wait until exactly these are under way."""
        async with within():
            while self.waiting.keys() != set(numbers):
                self._changed.clear()
                await self._changed.wait()


async def double(number: int) -> int:
    return number * 2


async def test_every_input_gets_its_outcome() -> None:
    outcomes = {number: result async for number, result in map_concurrently(double, range(100))}
    assert outcomes == {number: number * 2 for number in range(100)}
    assert [one async for one in map_concurrently(double, [])] == []


async def test_outcomes_come_as_they_are_ready_and_inputs_as_there_is_room() -> None:
    calls = Calls()
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    async with aclosing(map_concurrently(calls, endless(), concurrency=3)) as outcomes:
        first = asyncio.ensure_future(anext(outcomes))
        await calls.begun(0, 1, 2)
        calls.waiting[1].set_result("one")
        assert await first == (1, "one")
        await calls.begun(0, 2, 3)
        calls.waiting[3].set_result("three")
        calls.waiting[0].set_result("zero")
        assert [await anext(outcomes), await anext(outcomes)] == [(3, "three"), (0, "zero")]
        await calls.begun(2, 4, 5)
        assert taken == [0, 1, 2, 3, 4, 5]
    assert sorted(calls.cancelled) == [2, 4, 5]


async def test_one_failure_ends_nothing_else() -> None:
    async def picky(number: int) -> int:
        if number == 1:
            raise LookupError("not this one")
        return number

    outcomes = {number: result async for number, result in map_concurrently(picky, range(3))}
    assert isinstance(outcomes.pop(1), LookupError)
    assert outcomes == {0: 0, 2: 2}


async def test_a_call_that_raises_at_once_ends_nothing_else() -> None:
    def picky(number: int) -> Awaitable[int]:
        if number == 1:
            raise LookupError("not this one")
        return double(number)

    outcomes = {number: result async for number, result in map_concurrently(picky, range(3))}
    assert isinstance(outcomes.pop(1), LookupError)
    assert outcomes == {0: 0, 2: 4}


async def test_a_call_that_is_cancelled_from_within_ends_nothing_else() -> None:
    async def picky(number: int) -> int:
        if number == 1:
            raise asyncio.CancelledError
        return number

    outcomes = {number: result async for number, result in map_concurrently(picky, range(3))}
    cancelled = outcomes.pop(1)
    assert isinstance(cancelled, ComputeClientError)
    assert "cancelled itself" in str(cancelled)
    assert outcomes == {0: 0, 2: 2}


async def test_a_slow_source_does_not_hold_up_outcomes() -> None:
    gate = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        yield 1
        await gate.wait()
        yield 2

    outcomes = map_concurrently(double, source(), concurrency=5)
    assert await anext(outcomes) == (1, 2)  # while the source has not given its second one
    gate.set()
    assert [one async for one in outcomes] == [(2, 4)]


async def test_an_error_of_the_source_comes_after_what_it_gave() -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise OSError("the disk is gone")

    seen: list[tuple[int, int | Exception]] = []

    async def collect() -> None:
        async for one in map_concurrently(double, source()):
            seen.append(one)  # noqa: PERF401 - a comprehension would lose them with the error

    with pytest.raises(OSError, match="the disk is gone"):
        await collect()
    assert seen == [(0, 0), (1, 2), (2, 4)]


async def test_leaving_the_loop_cancels_what_runs() -> None:
    calls = Calls()

    async def leave() -> None:
        async for number, _ in map_concurrently(calls, itertools.count(), concurrency=2):
            assert number == 0
            break

    leaving = asyncio.ensure_future(leave())
    await calls.begun(0, 1)
    calls.waiting[0].set_result("done")
    await leaving
    gc.collect()  # what refcounting does at once elsewhere
    await calls.begun()
    assert 1 in calls.cancelled
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})  # of the abandoned generator


async def test_errors_that_nobody_waits_for_are_no_complaint() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fail(number: int) -> str:
        raise LookupError(number)

    async def leave_early() -> None:
        async with aclosing(map_concurrently(fail, range(8), concurrency=4)) as outcomes:
            async for _ in outcomes:
                break

    await leave_early()
    for _ in range(5):
        await asyncio.sleep(0)  # a turn of the loop each: it still knows them for a while
    gc.collect()
    assert not complaints


async def test_cancelling_the_loop_cancels_what_runs() -> None:
    calls = Calls()

    async def run() -> None:
        async for _ in map_concurrently(calls, itertools.count(), concurrency=2):
            pass

    running = asyncio.ensure_future(run())
    await calls.begun(0, 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(calls.cancelled) == [0, 1]


async def test_memory_stays_flat() -> None:
    class Result:
        pass

    alive: weakref.WeakSet[Result] = weakref.WeakSet()
    most = 0

    async def make(_: int) -> Result:
        result = Result()
        alive.add(result)
        return result

    async with aclosing(map_concurrently(make, itertools.count(), concurrency=4)) as outcomes:
        async for number, _ in outcomes:
            most = max(most, len(alive))
            if number == 5_000:
                break
    assert most <= 4 + 3  # those under way, the one in hand, and the loop's previous one on its way out


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_bound_below_one(concurrency: int) -> None:
    with pytest.raises(InvalidParameterError, match=f"concurrency={concurrency}: must be at least 1"):
        map_concurrently(double, [1], concurrency=concurrency)


@pytest.mark.parametrize("single", ["photo.jpg", b"bytes", io.BytesIO(b"file")])
def test_a_single_file_is_not_taken_apart(single: Iterable[object]) -> None:
    async def call(_: object) -> None:
        raise AssertionError

    with pytest.raises(InvalidParameterError, match="pass a list of inputs"):
        map_concurrently(call, single)
