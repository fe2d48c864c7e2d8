"""Tasks that end with their owner, so that none of them outlives a client's `close`."""

from __future__ import annotations

import asyncio


class OwnedTasks:
    """Keeps references to tasks until they are done: the event loop has only weak ones."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def add(self, task: asyncio.Task[object]) -> None:
        """Keep a task until it is done.

        Args:
            task: A task that `cancel` is to end.
        """
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Cancel all tasks except the current one, and wait until they have ended."""
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
