"""Deletes the ended jobs of a temporary server while a batch runs on it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from cl_client.local import LocalServer

_GROUP: Final = 16
_MOST: Final = 64
"""Jobs that may wait to be deleted, so that a slow disk does not let them add up."""


class EndedJobs:
    """The ended jobs of a temporary local server: nobody asks for them again once their results are saved.

    Otherwise the server's files would grow with the batch, and so would the time that it takes to delete them
    at the end, when the user waits. Use it with ``async with``.

    Args:
        server: The server.
    """

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._waiting: list[str] = []
        self._deleting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._deleting is not None:
            self._deleting.cancel()
        await self.settle()

    async def add(self, job_id: str) -> None:
        """Delete a job soon; waits if too many are to be deleted.

        Args:
            job_id: The job.
        """
        self._waiting.append(job_id)
        if self._deleting is None and len(self._waiting) >= _GROUP:
            self._deleting = asyncio.create_task(self._delete())
        if len(self._waiting) >= _MOST:
            await self.settle()

    async def settle(self) -> None:
        """Wait until no deletion is running."""
        if self._deleting is not None:
            await asyncio.wait([self._deleting])

    async def _delete(self) -> None:
        try:
            while len(self._waiting) >= _GROUP:
                some, self._waiting = self._waiting, []
                with contextlib.suppress(OSError, sqlite3.Error):  # they go with the server's folder
                    await self._server.discard(some)
        finally:
            self._deleting = None
