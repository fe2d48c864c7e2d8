"""A blocking call is over when the call that awaits it is."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cl_client.threads import in_thread


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
    await asyncio.wait_for(begun.wait(), 20)
    for _ in range(2):
        call.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not call.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert over.is_set()
