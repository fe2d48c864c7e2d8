"""A blocking call is over when the call that awaits it is."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import pytest

from cl_client._core.threads import in_thread, in_thread_unless_cancelled
from patience import SECONDS, soon

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


async def test_results_and_errors_come_through() -> None:
    assert await in_thread(int, "12", base=3) == 5
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "nine")


async def test_a_cancelled_call_ends_with_its_thread() -> None:
    begun, gate, over = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(20)
        over.set()
        raise OSError("nobody waits for this any more")

    call = asyncio.create_task(in_thread(work))
    await soon(begun.wait())
    for _ in range(2):
        call.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not call.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert over.is_set()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_waiting_for_a_thread_does_not_spin_inside_a_scope_of_anyio() -> None:
    gate, scope = threading.Event(), anyio.CancelScope()

    async def call() -> None:
        with scope:
            await in_thread(gate.wait, SECONDS)

    calling = asyncio.create_task(call())
    await turns(5)
    scope.cancel()
    await turns(5)
    cancellations = calling.cancelling()
    await turns(20)
    assert calling.cancelling() == cancellations
    gate.set()
    await calling
    assert scope.cancelled_caught


@pytest.mark.parametrize("call", [in_thread, in_thread_unless_cancelled])
async def test_a_call_that_is_cancelled_before_its_turn(
    call: Callable[[Callable[[], None]], Coroutine[None, None, None]],
) -> None:
    gate, made = threading.Event(), list[None]()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        before = asyncio.create_task(in_thread(gate.wait, SECONDS))
        waiting = asyncio.create_task(call(lambda: made.append(None)))
        await turns(5)
        waiting.cancel()
        await turns(5)
        assert waiting.done() == (call is in_thread_unless_cancelled)
        gate.set()
        await before
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert len(made) == (call is in_thread)
