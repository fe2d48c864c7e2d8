"""Single flight: concurrent callers that ask for the same thing share one call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cl_client._core.owned_tasks import OwnedTasks
from cl_client._errors import ClientClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class _Flight(Generic[ResultT]):
    task: asyncio.Task[ResultT]
    waiting: int = 0


class SingleFlight(Generic[ResultT]):
    """Lets concurrent callers with the same key share one read."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[ResultT]] = {}
        self._tasks = OwnedTasks()
        self._closed = False

    async def get(self, key: str, read: Callable[[], Coroutine[None, None, ResultT]]) -> ResultT:
        """Join the running read of a key, or start one.

        The read is cancelled when the last caller that waits for it is cancelled.

        Args:
            key: Callers with the same key share a read.
            read: Coroutine function that reads; called only if no read of the key is running.

        Returns:
            The result of the read.

        Raises:
            ClientClosedError: `close` was called while the read was running.
            asyncio.CancelledError: The caller was cancelled.
        """
        flight = self._flights.get(key)
        if flight is None or flight.task.done():  # joining a finished one would not yield to the event loop
            flight = self._flights[key] = _Flight(self._begun(read))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if self._closed and not (caller and caller.cancelling()):
                raise ClientClosedError from None
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()
                await asyncio.wait([flight.task])

    async def close(self) -> None:
        """Cancel all running reads; their callers get a `ClientClosedError`."""
        self._closed = True
        await self._tasks.cancel()

    def _begun(self, read: Callable[[], Coroutine[None, None, ResultT]]) -> asyncio.Task[ResultT]:
        task = asyncio.create_task(read())
        self._tasks.add(task)
        return task

    def renew(self, key: str) -> None:
        """Make the next caller start a new read, because the running one is out of date.

        Args:
            key: The key whose running read no caller may join any more.
        """
        self._flights.pop(key, None)
