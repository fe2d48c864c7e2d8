"""Blocking calls in a thread: those that end by themselves, and those that may never do."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


async def in_thread(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Call a function in a thread; when the awaiting task is cancelled, once the function has returned.

    `asyncio.to_thread` returns at once when it is cancelled and leaves the thread to go on, so that a file
    may be made, or written to, after whoever wanted it has already cleaned up.
    """
    call = asyncio.get_running_loop().run_in_executor(None, partial(function, *args, **kwargs))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        while not call.done():
            # A second cancellation must not end the wait either.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([call])
        if not call.cancelled():
            call.exception()  # taken note of: the cancellation goes before
        raise


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


def _settle(call: Future[ResultT], function: Callable[[], ResultT], _held: object) -> None:
    try:
        result = function()
    except BaseException as exc:  # noqa: BLE001 - it is raised where the call is awaited
        call.set_exception(exc)
    else:
        call.set_result(result)
