"""Single flight: one call for all callers that ask for the same while it is under way."""

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
    """One read for all callers that ask for the same while it is under way."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[ResultT]] = {}
        self._tasks = OwnedTasks()
        self._closed = False

    async def get(self, key: str, read: Callable[[], Coroutine[None, None, ResultT]]) -> ResultT:
        """Join the read of that key, or begin one; it ends with the last caller that waits for it.

        Raises:
            ClientClosedError: It was closed meanwhile.
        """
        flight = self._flights.get(key)
        if flight is None or flight.task.done():  # joining one that is over would give no turn to the loop
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
        """End the reads that are under way; whoever waits for one is told."""
        self._closed = True
        await self._tasks.cancel()

    def _begun(self, read: Callable[[], Coroutine[None, None, ResultT]]) -> asyncio.Task[ResultT]:
        task = asyncio.create_task(read())
        self._tasks.add(task)
        return task

    def renew(self, key: str) -> None:
        """Let nobody join the read that is under way: what it reads is no longer true."""
        self._flights.pop(key, None)
