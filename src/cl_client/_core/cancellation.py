"""Waiting that has to be over before a cancellation may go on."""

from __future__ import annotations

import asyncio
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def wait_uncancelled(task: asyncio.Future[ResultT]) -> None:
    """Wait until a task is done, however often this is cancelled meanwhile; the cancellation follows then."""
    from anyio import CancelScope

    cancelled = False
    # anyio's scopes, and so Starlette's, cancel at each turn of the loop; a shield keeps these from spinning.
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                cancelled = True
    if cancelled:
        raise asyncio.CancelledError
