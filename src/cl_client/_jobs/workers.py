"""The workers of a server: which are present, which tasks they serve, and waiting for them."""

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
from cl_client._errors import ClientClosedError, WorkerUnavailableError
from cl_client._http_errors import ServerBusyError, ServerError, ServerUnavailableError
from cl_client._jobs.worker_registry import WorkerRegistry
from cl_client.models import WorkerCapabilities, WorkerCapability

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from cl_client._errors import ComputeClientError
    from cl_client._jobs.tracker import JobTracker

logger = get_logger("cl_client.workers")

WorkerCallback: TypeAlias = Callable[[dict[str, WorkerCapability]], Awaitable[None] | None]
"""Called with all present workers by id whenever a worker appears, disappears, or becomes busy or idle."""

_Workers: TypeAlias = dict[str, WorkerCapability]
_Signature: TypeAlias = dict[str, tuple[tuple[str, ...], bool]]

_POLL: Final = 1.0
_FLICKER: Final = 0.1
"""Seconds that a worker must be busy to be reported: each look for a job makes it busy for milliseconds."""


class FetchCapabilities(Protocol):
    """Reads the capabilities from the server; ``quiet`` if the caller logs failures itself."""

    async def __call__(self, *, quiet: bool) -> WorkerCapabilities:
        """Read the capabilities once, with retries."""
        ...


class Workers:
    """The known workers, from their MQTT announcements or from the server.

    Args:
        fetch: Reads the capabilities from the server.
        tracker: Is notified when a worker becomes idle, and knows whether announcements arrive.
        stale_after: Seconds without an announcement after which a worker is considered gone.
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
        """End all callbacks, waits and running reads."""
        self._closed = True
        self.changed.set()
        for subscription_id in list(self._subscriptions):
            self.unsubscribe(subscription_id)
        if self._expiry is not None:
            self._expiry.cancel()
        await self._tasks.cancel()
        await self._reads.close()

    def subscribe(self, callback: WorkerCallback) -> str:
        """Subscribe to changes of the workers; see `ComputeClient.subscribe_worker_updates`.

        Args:
            callback: Called with all present workers.

        Returns:
            The id of the subscription.

        Raises:
            ClientClosedError: The client is closed.
        """
        if self._closed:
            raise ClientClosedError
        subscription_id = secrets.token_hex(8)
        self._subscriptions[subscription_id] = _WorkerSubscription(callback, self._tasks)
        self._loop.call_soon(self._tell)
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription. Idempotent.

        Args:
            subscription_id: The id that `subscribe` returned.
        """
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is not None:
            subscription.cancel()

    def present(self) -> dict[str, WorkerCapability]:
        """Get the present workers.

        Returns:
            The workers by id.
        """
        return self._registry.present(self._loop.time())

    def served(self) -> dict[str, int]:
        """Count idle workers by their announcements.

        Returns:
            Idle workers per task type; 0 if all of them are busy.
        """
        return self._registry.served(self._loop.time())

    def on_announcement(self, worker: WorkerCapability, *, retained: bool) -> None:
        """Handle the announcement of a worker.

        Args:
            worker: The announced worker.
            retained: Whether the broker had stored the message.
        """
        if self._closed:  # the connection is closed last
            return
        busy_since = self._registry.update(worker, retained=retained, now=self._loop.time())
        if busy_since is not None:
            self._tracker.on_worker_idle(worker.capabilities, busy_since)
        self._on_change()

    def on_goodbye(self, worker_id: str) -> None:
        """Handle the orderly exit of a worker.

        Args:
            worker_id: The worker.
        """
        if self._closed:
            return
        self._registry.remove(worker_id)
        self._on_change()

    async def capabilities(self, fetch: FetchCapabilities, key: str, *, max_age: float) -> WorkerCapabilities:
        """Read the capabilities of the workers from the server.

        Args:
            fetch: Reads them.
            key: Identifies the settings of the request; concurrent calls with the same key share one request.
            max_age: Maximum age of a cached answer in seconds.

        Returns:
            The capabilities.
        """
        if self._capabilities is not None:
            capabilities, read_at = self._capabilities
            if self._loop.time() - read_at < max_age:
                return capabilities
        capabilities = await self._reads.get(key, partial(fetch, quiet=False))
        self._capabilities = (capabilities, self._loop.time())
        return capabilities

    async def wait_for(self, required: AbstractSet[str], seconds: float | None) -> dict[str, int]:
        """Wait until every task is served. Keeps waiting while the server is unreachable.

        Args:
            required: The task types.
            seconds: Timeout in seconds; None for no limit.

        Returns:
            Idle workers per task type.

        Raises:
            WorkerUnavailableError: The wait timed out.
            ClientClosedError: The client was closed while waiting.
            TimeoutError: Raised by an auth provider.
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
            if not limit.expired():  # raised by an auth provider
                raise
            raise WorkerUnavailableError(sorted(required - served.keys()), served) from problem
        raise ClientClosedError

    async def require(self, task_type: str) -> None:
        """Check that a worker, idle or busy, serves a task.

        Args:
            task_type: The task.

        Raises:
            WorkerUnavailableError: No worker serves the task.
        """
        served = await self._served(quiet=False)
        if task_type not in served:
            raise WorkerUnavailableError([task_type], served)

    async def _served(self, *, quiet: bool) -> dict[str, int]:
        """Idle workers per task, from MQTT if connected, otherwise from the server."""
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
            # Heartbeats do not reschedule the timer; it finds the next expiry when it fires.
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
    """A callback and the last state that it was given; heartbeats and looks for work do not trigger it."""

    def __init__(self, callback: WorkerCallback, tasks: OwnedTasks) -> None:
        self._callback = callback
        # A slow callback skips older states: only the current one matters.
        self._queue = CallbackQueue("workers", tasks, limit=1)
        self._told: _Signature = {}
        self._workers: _Workers = {}
        self._settling: asyncio.TimerHandle | None = None

    def tell(self, workers: _Workers) -> None:
        """Call back if something has changed; if workers only became busy, when they have stayed so."""
        self._workers = workers
        news = _signature(workers)
        if news == self._told:
            return
        if not _is_only_busier(self._told, news):
            self._deliver(news)
        elif self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(_FLICKER, self._settle)

    def cancel(self) -> None:
        """Stop calling back."""
        if self._settling is not None:
            self._settling.cancel()
        self._queue.cancel()

    def _settle(self) -> None:
        self._settling = None
        news = _signature(self._workers)
        if news != self._told:
            self._deliver(news)

    def _deliver(self, news: _Signature) -> None:
        self._told = news
        self._queue.deliver(self._callback, self._workers)


def _signature(workers: _Workers) -> _Signature:
    return {worker_id: (one.capabilities, one.idle_count > 0) for worker_id, one in workers.items()}


def _is_only_busier(before: _Signature, now: _Signature) -> bool:
    """Whether nothing has changed but that idle workers became busy."""
    return before.keys() == now.keys() and all(
        tasks == before[worker_id][0] and (is_idle is before[worker_id][1] or not is_idle)
        for worker_id, (tasks, is_idle) in now.items()
    )
