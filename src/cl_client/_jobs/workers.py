"""The workers of a server: who is present, what they serve, and waiting until a task is served."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from cl_client._core.callback_queue import CallbackQueue
from cl_client._core.log import get_logger
from cl_client._core.owned_tasks import OwnedTasks
from cl_client._core.single_flight import SingleFlight
from cl_client._errors import (
    ClientClosedError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
    WorkerUnavailableError,
)
from cl_client._jobs.worker_registry import WorkerRegistry
from cl_client.models import WorkerCapabilities, WorkerCapability

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from cl_client._errors import ComputeClientError
    from cl_client._jobs.tracker import JobTracker

logger = get_logger("cl_client.workers")

WorkerCallback: TypeAlias = Callable[[dict[str, WorkerCapability]], Awaitable[None] | None]
"""Given all workers that are present, by id, whenever one comes, goes, or turns busy or idle."""

_Workers: TypeAlias = dict[str, WorkerCapability]
_Signature: TypeAlias = dict[str, tuple[tuple[str, ...], bool]]

_POLL: Final = 1.0


class FetchCapabilities(Protocol):
    """Asks the server; quiet where the caller warns of failures itself."""

    async def __call__(self, *, quiet: bool) -> WorkerCapabilities:
        """One answer of the server, with retries."""
        ...


class Workers:
    """What is known of the workers, by their announcements or by what the server says.

    Args:
        fetch: Asks the server.
        tracker: Is told when a worker turns idle, and knows whether announcements arrive.
        stale_after: Seconds of silence after which a worker is gone.
    """

    def __init__(self, fetch: FetchCapabilities, tracker: JobTracker, stale_after: float) -> None:
        self._fetch = fetch
        self._tracker = tracker
        self._loop = asyncio.get_running_loop()
        self._registry = WorkerRegistry(stale_after)
        self._subscriptions: dict[str, _WorkerSubscription] = {}
        self._tasks = OwnedTasks()
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False
        self.changed = asyncio.Event()
        self._reads = SingleFlight[WorkerCapabilities]()
        self._capabilities: tuple[WorkerCapabilities, float] | None = None

    async def close(self) -> None:
        """End the callbacks, waits and reads that are under way."""
        self._closed = True
        self.changed.set()
        for subscription_id in list(self._subscriptions):
            self.unsubscribe(subscription_id)
        if self._expiry is not None:
            self._expiry.cancel()
        await self._tasks.cancel()
        await self._reads.close()

    def subscribe(self, callback: WorkerCallback) -> str:
        """Be told of the workers; see `ComputeClient.subscribe_worker_updates`."""
        if self._closed:
            raise ClientClosedError
        subscription_id = secrets.token_hex(8)
        self._subscriptions[subscription_id] = _WorkerSubscription(callback, self._tasks)
        self._loop.call_soon(self._tell)
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription. Idempotent."""
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is not None:
            subscription.cancel()

    def present(self) -> dict[str, WorkerCapability]:
        """The workers that are present, by id."""
        return self._registry.present(self._loop.time())

    def served(self) -> dict[str, int]:
        """Idle workers per task type, as announced."""
        return self._registry.served(self._loop.time())

    def on_announcement(self, worker: WorkerCapability, *, retained: bool) -> None:
        """A worker has announced itself."""
        if self._closed:  # the connection ends last
            return
        busy_since = self._registry.update(worker, retained=retained, now=self._loop.time())
        if busy_since is not None:
            self._tracker.on_worker_idle(worker.capabilities, busy_since)
        self._on_change()

    def on_goodbye(self, worker_id: str) -> None:
        """A worker has left in order."""
        if self._closed:
            return
        self._registry.remove(worker_id)
        self._on_change()

    async def capabilities(self, fetch: FetchCapabilities, key: str, *, max_age: float) -> WorkerCapabilities:
        """What the server says of its workers.

        Args:
            fetch: Asks it.
            key: Of the settings that it is asked with: those with the same key share a request.
            max_age: An answer that is no older in seconds is taken again.
        """
        if self._capabilities is not None:
            capabilities, read_at = self._capabilities
            if self._loop.time() - read_at < max_age:
                return capabilities
        capabilities = await self._reads.get(key, partial(fetch, quiet=False))
        self._capabilities = (capabilities, self._loop.time())
        return capabilities

    async def wait_for(self, required: AbstractSet[str], seconds: float | None) -> dict[str, int]:
        """Wait until every task is served; idle workers per task. A server that is not there is waited for.

        Raises:
            WorkerUnavailableError: The time is up.
            ClientClosedError: The client was closed meanwhile.
        """
        served: dict[str, int] = {}
        problem: ComputeClientError | None = None
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                while not self._closed:
                    try:
                        served, problem = await self._served(quiet=True), None
                    except (ServerUnavailableError, ServerBusyError, ServerError) as exc:
                        logger.debug("capabilities cannot be read: %s", exc)
                        served, problem = {}, exc
                    if required <= served.keys():
                        return served
                    await self._next_change()
        except TimeoutError:
            if not limit.expired():  # one of an auth provider
                raise
            raise WorkerUnavailableError(sorted(required - served.keys()), served) from problem
        raise ClientClosedError

    async def require(self, task_type: str) -> None:
        """Busy workers serve a task as well as idle ones do.

        Raises:
            WorkerUnavailableError: Nobody serves it.
        """
        served = await self._served(quiet=False)
        if task_type not in served:
            raise WorkerUnavailableError([task_type], served)

    async def _served(self, *, quiet: bool) -> dict[str, int]:
        """As announced by MQTT where it is live, or else as the server says."""
        if self._tracker.push.connected and (served := self.served()):
            return served
        return (await self._reads.get("", partial(self._fetch, quiet=quiet))).capabilities

    async def _next_change(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL):
                await self.changed.wait()

    def _on_change(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        self._tell()
        if self._expiry is None and (expiry := self._registry.next_expiry()) is not None:
            # Heartbeats do not move it: it looks for the next one when it fires.
            self._expiry = self._loop.call_at(expiry, self._on_expiry)

    def _on_expiry(self) -> None:
        self._expiry = None
        self._registry.expire(self._loop.time())
        self._on_change()

    def _tell(self) -> None:
        if self._subscriptions:
            workers = self.present()
            for subscription in tuple(self._subscriptions.values()):
                subscription.tell(workers)


class _WorkerSubscription:
    """A callback, and what of the workers it was told last: their heartbeats alone are no news."""

    def __init__(self, callback: WorkerCallback, tasks: OwnedTasks) -> None:
        self._callback = callback
        # What a slow callback is late for is overtaken by the newest: only the state of now is of interest.
        self._queue = CallbackQueue("workers", tasks, limit=1)
        self._told: _Signature = {}

    def tell(self, workers: _Workers) -> None:
        """Call back if there is news."""
        news = {worker_id: (one.capabilities, one.idle_count > 0) for worker_id, one in workers.items()}
        if news != self._told:
            self._told = news
            self._queue.deliver(self._callback, workers)

    def cancel(self) -> None:
        """Call back no more."""
        self._queue.cancel()
