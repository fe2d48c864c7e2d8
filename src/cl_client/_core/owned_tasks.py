"""Tasks that end with their owner, so that none outlives a client's `close`."""

from __future__ import annotations

import asyncio


class OwnedTasks:
    """Keeps tasks until they are done: the loop itself has only weak references to them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def add(self, task: asyncio.Task[object]) -> None:
        """Keep a task."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Cancel all of them, and wait until they have ended; not the task that asks for it, if it is one."""
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
