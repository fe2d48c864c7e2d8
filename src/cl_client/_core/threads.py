"""The running event loop, and blocking calls in threads: those that return, and those that may not."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from cl_client._core.cancellation import wait_uncancelled
from cl_client._errors import ComputeClientError

if TYPE_CHECKING:
    from collections.abc import Callable

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


def running_loop() -> asyncio.AbstractEventLoop:
    """Get the running asyncio event loop.

    Returns:
        The event loop of the calling task.

    Raises:
        ComputeClientError: No asyncio event loop is running.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ComputeClientError(
            "cl_client needs asyncio, but no asyncio event loop is running: call it inside asyncio.run(...). "
            "Programs that use trio or curio can do that in a separate thread"
        ) from None


async def in_thread(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Call a function in a thread, and wait until it has returned, even when cancelled.

    `asyncio.to_thread` returns at once when it is cancelled, and the thread goes on: it may create or write a
    file after the caller has already cleaned up.

    Args:
        function: Called in the event loop's thread pool.
        *args: Positional arguments of the function.
        **kwargs: Keyword arguments of the function.

    Returns:
        The result of the function.
    """
    return await _in_pool(partial(function, *args, **kwargs), droppable=False)


async def in_thread_unless_cancelled(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Call a function like `in_thread`, but skip the call if it is cancelled while it waits for a thread.

    Not for cleaning up. The whole program shares the pool, so a call may wait long for a thread.

    Args:
        function: Called in the event loop's thread pool.
        *args: Positional arguments of the function.
        **kwargs: Keyword arguments of the function.

    Returns:
        The result of the function.
    """
    return await _in_pool(partial(function, *args, **kwargs), droppable=True)


async def in_own_thread(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Call a function that may never return, such as a read from a silent socket, in a daemon thread.

    It uses no thread of the event loop's pool, which the whole program needs for files and host names. When
    the awaiting task is cancelled, the thread is abandoned: what it still reads is lost. The program can exit
    while it runs.

    Args:
        function: Called in a new thread.
        *args: Positional arguments of the function.
        **kwargs: Keyword arguments of the function.

    Returns:
        The result of the function.
    """
    call: Future[ResultT] = Future()
    call.set_running_or_notify_cancel()  # from now on, it cannot be cancelled
    # Python aborts if it closes standard input at exit while a thread still reads it. A reference in that
    # thread keeps it open.
    work = (call, partial(function, *args, **kwargs), sys.stdin)
    threading.Thread(target=_settle, args=work, daemon=True).start()
    return await asyncio.wrap_future(call)


async def _in_pool(function: Callable[[], ResultT], *, droppable: bool) -> ResultT:
    # The loop's own future does not tell whether a call has started. So the call is taken out of a list, by
    # its thread or by a cancellation, whichever comes first. A second future would tell, too, but each future
    # wakes the loop, which costs about as much as a short call.
    waiting = [function]
    call = asyncio.get_running_loop().run_in_executor(None, _run, waiting)
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        if droppable and _taken(waiting):
            call.cancel()
            raise
        with contextlib.suppress(asyncio.CancelledError):
            await wait_uncancelled(call)
        if call.done() and not call.cancelled():
            call.exception()  # marks the error as read: the cancellation takes precedence
        raise


def _run(waiting: list[Callable[[], ResultT]]) -> ResultT:
    return waiting.pop()()


def _taken(waiting: list[Callable[[], ResultT]]) -> bool:
    with contextlib.suppress(IndexError):
        waiting.pop()
        return True
    return False


def _settle(call: Future[ResultT], function: Callable[[], ResultT], _held: object = None) -> None:
    try:
        result = function()
    except BaseException as exc:  # noqa: BLE001 - raised where the call is awaited
        call.set_exception(exc)
        del call  # breaks a reference cycle: it holds the exception, whose traceback holds this frame
    else:
        call.set_result(result)
