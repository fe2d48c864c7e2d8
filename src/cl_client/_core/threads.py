"""The running loop, and blocking calls in a thread: those that end by themselves, and those that may not."""

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
    """The loop that runs here.

    Raises:
        ComputeClientError: None of asyncio does.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ComputeClientError(
            "cl_client needs asyncio, and no event loop of asyncio is running here: call it inside of "
            "asyncio.run(...). Programs on trio or curio can do so in a thread of their own"
        ) from None


async def in_thread(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Call a function in a thread; when the awaiting task is cancelled, once the function has returned.

    `asyncio.to_thread` returns at once when it is cancelled and leaves the thread to go on, so that a file
    may be made, or written to, after whoever wanted it has already cleaned up.
    """
    return await _in_pool(partial(function, *args, **kwargs), droppable=False)


async def in_thread_unless_cancelled(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Like `in_thread`, but a call that still waits for a thread when it is cancelled is never made.

    Not for cleaning up. The pool is the whole program's, so that what is before a call may take long.
    """
    return await _in_pool(partial(function, *args, **kwargs), droppable=True)


async def in_own_thread(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Call a function that may never return, such as a read from a socket at which nothing comes.

    It takes no thread of the loop's pool, in which files and host names of the whole program are waited for.
    When the awaiting task is cancelled, the thread is left to itself: what it still reads is lost. It keeps
    nobody from ending the program.
    """
    call: Future[ResultT] = Future()
    call.set_running_or_notify_cancel()  # from now on, a cancellation leaves it alone
    # Python ends with an abort where it has to close standard input while a thread still reads it. As long as
    # that thread holds it, it is not closed.
    work = (call, partial(function, *args, **kwargs), sys.stdin)
    threading.Thread(target=_settle, args=work, daemon=True).start()
    return await asyncio.wrap_future(call)


async def _in_pool(function: Callable[[], ResultT], *, droppable: bool) -> ResultT:
    # The loop's own futures do not tell whether a call has begun.
    work: Future[ResultT] = Future()
    asyncio.get_running_loop().run_in_executor(None, _run, work, function)
    call = asyncio.wrap_future(work)
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        if not (droppable and work.cancel()):
            with contextlib.suppress(asyncio.CancelledError):
                await wait_uncancelled(call)
        if call.done() and not call.cancelled():
            call.exception()  # taken note of: the cancellation goes before
        raise


def _run(work: Future[ResultT], function: Callable[[], ResultT]) -> None:
    if work.set_running_or_notify_cancel():
        _settle(work, function)


def _settle(call: Future[ResultT], function: Callable[[], ResultT], _held: object = None) -> None:
    try:
        result = function()
    except BaseException as exc:  # noqa: BLE001 - it is raised where the call is awaited
        call.set_exception(exc)
        del call  # which would hold the exception, whose traceback holds this frame
    else:
        call.set_result(result)
