"""MQTT news for the tracker: job events and worker announcements, checked and passed on."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from pydantic import ValidationError

from cl_client.log import get_logger
from cl_client.models import JobEvent, WorkerCapability
from cl_client.mqtt_connection import MQTTConnection
from cl_client.mqtt_types import ConnectionOptions, ConnectionState
from cl_client.subscriptions import CallbackQueue
from cl_client.worker_registry import WorkerRegistry

if TYPE_CHECKING:
    import ssl

    from cl_client.config import ComputeClientConfig
    from cl_client.job_tracker import JobTracker
    from cl_client.models import TaskOutput
    from cl_client.mqtt_types import MQTTCredentials, MQTTMessage
    from cl_client.plugins.base import JobCallback

logger = get_logger("cl_client.mqtt")

WorkerCallback: TypeAlias = Callable[[dict[str, WorkerCapability]], Awaitable[None] | None]
"""Given all workers that are present, by id, whenever one comes, goes, or turns busy or idle."""

WorkerQueue: TypeAlias = CallbackQueue[dict[str, WorkerCapability]]

_MAX_PAYLOAD = 64 * 1024


class MQTTJobMonitor:
    """Subscriptions by id to jobs and workers; owns the connection to the broker.

    Args:
        config: Broker, topics and limits.
        tracker: Who is told about jobs.
        make_ssl_context: For brokers behind TLS; called in the connection's own thread.
        credentials: For the broker, where its URL has none; called in the connection's own thread.
    """

    def __init__(
        self,
        config: ComputeClientConfig,
        tracker: JobTracker,
        make_ssl_context: Callable[[], ssl.SSLContext],
        credentials: Callable[[], MQTTCredentials | None] = lambda: None,
    ) -> None:
        self._config = config
        self._tracker = tracker
        self._workers = WorkerRegistry(config.worker_stale_after)
        self._worker_callbacks: dict[str, tuple[WorkerCallback, WorkerQueue]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._said_lost = False
        self.workers_changed = asyncio.Event()
        self.malformed = 0
        self._connection: MQTTConnection | None = None
        address = config.mqtt_address
        if address is not None:
            self._connection = MQTTConnection(
                address,
                topics=(config.events_topic, f"{config.workers_topic}/+"),
                on_messages=self.dispatch,
                on_state=self._on_state,
                on_overflow=tracker.reconcile,
                options=ConnectionOptions(
                    connect_timeout=config.mqtt_connect_timeout,
                    credentials=credentials,
                    make_ssl_context=make_ssl_context,
                ),
            )

    @property
    def is_connected(self) -> bool:
        """Whether push works right now."""
        return self._connection is not None and self._connection.connected

    def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._connection is not None:
            self._connection.start()

    async def wait_connected(self, timeout: float) -> bool:  # noqa: ASYNC109 - part of the interface
        """Wait for push; False where it is off or did not come in time."""
        return self._connection is not None and await self._connection.wait_connected(timeout)

    async def close(self) -> None:
        """Disconnect, and end the callbacks that still run."""
        for subscription_id in list(self._worker_callbacks):
            self.unsubscribe(subscription_id)
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def detach(self) -> None:
        """Let the connection end by itself, when the loop it belonged to is gone."""
        if self._connection is not None:
            self._connection.detach()

    def subscribe_job_updates(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None = None,
        on_complete: JobCallback[TaskOutput] | None = None,
    ) -> str:
        """Follow a job by its id; see `ComputeClient.subscribe_job_updates`."""
        return self._tracker.subscribe(job_id, on_progress, on_complete)

    def subscribe_worker_updates(self, callback: WorkerCallback) -> str:
        """Be told of the workers; see `ComputeClient.subscribe_worker_updates`."""
        subscription_id = secrets.token_hex(8)
        # What a slow callback is late for is overtaken by the newest: only the state of now is of interest.
        queue: WorkerQueue = CallbackQueue("workers", self._own_task, limit=1)
        self._worker_callbacks[subscription_id] = (callback, queue)
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription of either kind. Idempotent."""
        _callback, queue = self._worker_callbacks.pop(subscription_id, (None, None))
        if queue is not None:
            queue.cancel()
        self._tracker.unfollow(subscription_id)

    def workers(self) -> dict[str, WorkerCapability]:
        """The workers that are present, by id."""
        return self._workers.present(asyncio.get_running_loop().time())

    def served(self) -> dict[str, int]:
        """Idle workers per task type."""
        return self._workers.served(asyncio.get_running_loop().time())

    def _on_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.CONNECTED:
            if self._said_lost:
                logger.info("MQTT is back: jobs are followed by push again")
            self._said_lost = False
            self._tracker.reconcile()
        elif state in {ConnectionState.DISCONNECTED, ConnectionState.REFUSED} and not self._said_lost:
            self._said_lost = True
            logger.warning(
                "There is no MQTT push from %s (%s): jobs are followed over HTTP alone until there is",
                self._connection.address if self._connection else None,
                self._connection.problem if self._connection else None,
            )
            self._tracker.on_push_lost()

    def dispatch(self, messages: Iterable[MQTTMessage]) -> None:
        """Take in what came from the broker; messages that are not as they should be are counted."""
        for message in messages:
            if len(message.payload) > _MAX_PAYLOAD:
                self._refuse(message, "too large")
                continue
            try:
                if message.topic == self._config.events_topic:
                    self._tracker.on_event(JobEvent.model_validate_json(message.payload))
                else:
                    self._on_worker(message)
            except ValidationError as exc:
                self._refuse(message, f"{exc.error_count()} errors")

    def _refuse(self, message: MQTTMessage, reason: str) -> None:
        self.malformed += 1
        level = logging.WARNING if self.malformed == 1 else logging.DEBUG
        logger.log(level, "a message on %s was ignored: %s: %r", message.topic, reason, message.payload[:80])

    def _on_worker(self, message: MQTTMessage) -> None:
        now = asyncio.get_running_loop().time()
        # The topic's last part is always right, whatever the payload says.
        worker_id = message.topic.rpartition("/")[2]
        if not message.payload:
            self._workers.remove(worker_id)
        else:
            worker = WorkerCapability.model_validate_json(message.payload)
            worker = worker.model_copy(update={"worker_id": worker_id})
            busy_since = self._workers.update(worker, retained=message.retain, now=now)
            if busy_since is not None:
                self._tracker.on_worker_idle(worker.capabilities, busy_since)
        changed, self.workers_changed = self.workers_changed, asyncio.Event()
        changed.set()
        for callback, queue in tuple(self._worker_callbacks.values()):
            queue.deliver(callback, self.workers())

    def _own_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
