"""Waiting that delays a cancellation until it is finished."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

ResultT = TypeVar("ResultT")


async def wait_uncancelled(task: asyncio.Future[ResultT]) -> None:
    """Wait until a task is done, even if the caller is cancelled meanwhile.

    Args:
        task: The task to wait for. It is not cancelled, and its result is not read.

    Raises:
        asyncio.CancelledError: The caller was cancelled, once or more, while it waited.
    """
    from anyio import CancelScope

    cancelled = False
    # anyio's scopes (Starlette uses them) cancel again at every turn of the loop; a shield prevents that.
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                cancelled = True
    if cancelled:
        raise asyncio.CancelledError


async def run_uncancelled(work: Coroutine[None, None, ResultT]) -> ResultT:
    """Run a coroutine to its end, even if the caller is cancelled meanwhile.

    Args:
        work: The coroutine, not started yet. It runs in a task of its own.

    Returns:
        Its result.

    Raises:
        asyncio.CancelledError: The caller was cancelled, once or more, while it waited.
    """
    task = asyncio.ensure_future(work)
    try:
        await wait_uncancelled(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # marks the error as read: the cancellation takes precedence
        raise
    return task.result()
