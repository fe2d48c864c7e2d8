"""Blocking calls in a thread, each of which is over when the call that awaits it is."""

from __future__ import annotations

import asyncio
import contextlib
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
