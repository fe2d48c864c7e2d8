"""MQTT messages: job events and worker announcements, validated and passed on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cl_client._core.log import get_logger
from cl_client._mqtt.connection import MQTTConnection
from cl_client._mqtt.credentials import BrokerCredentials
from cl_client._mqtt.types import ConnectionOptions, ConnectionState
from cl_client.models import JobEvent, WorkerCapability

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable, Iterable

    from cl_client._jobs.tracker import JobTracker
    from cl_client._jobs.workers import WorkerCallback, Workers
    from cl_client._mqtt.types import MQTTMessage
    from cl_client.config import ComputeClientConfig
    from cl_client.models import TaskOutput
    from cl_client.options import ErrorCallback, JobCallback

logger = get_logger("cl_client.mqtt")

_MAX_PAYLOAD = 64 * 1024


class MQTTJobMonitor:
    """Subscriptions to jobs and workers; owns the connection to the broker.

    Args:
        config: Broker, topics and limits.
        tracker: Receives job events.
        workers: Receives worker announcements.
        make_ssl_context: Creates the TLS context for the broker; called in the connection's thread.
        credentials: Credentials for the broker, if its URL has none; called in the connection's thread.
    """

    def __init__(
        self,
        config: ComputeClientConfig,
        tracker: JobTracker,
        workers: Workers,
        make_ssl_context: Callable[[], ssl.SSLContext],
        credentials: BrokerCredentials | None = None,
    ) -> None:
        self._config = config
        self._tracker = tracker
        self._workers = workers
        self._credentials = credentials or BrokerCredentials()
        self._said_lost = False
        self._closed = False
        self.malformed = 0
        self.unasked = 0
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
                    credentials=self._credentials,
                    make_ssl_context=make_ssl_context,
                ),
            )

    @property
    def is_connected(self) -> bool:
        """Whether the broker is connected and has granted the subscriptions; see `is_live`."""
        return self._connection is not None and self._connection.connected

    @property
    def is_live(self) -> bool:
        """Whether job events also arrive, as far as the client can tell."""
        return self._tracker.push.is_live

    def start(self) -> None:
        """Start connecting, unless that was done before; returns immediately."""
        if self._connection is not None and not self._closed:
            self._connection.start()

    async def wait_connected(self, timeout: float) -> bool:  # noqa: ASYNC109 - part of the interface
        """Wait for the connection to the broker.

        Args:
            timeout: Maximum seconds to wait.

        Returns:
            Whether it is connected; False if MQTT is off.
        """
        self.start()
        return self._connection is not None and await self._connection.wait_connected(timeout)

    async def close(self) -> None:
        """Disconnect, and wait until the connection's thread has ended."""
        self._closed = True
        self.detach()
        await self._credentials.close()
        if self._connection is not None:
            await self._connection.close()

    def detach(self) -> None:
        """Ask the connection's thread to end, without waiting for it; works on any event loop."""
        if self._connection is not None:
            self._connection.detach()
        self._credentials.cancel()

    async def close_abandoned(self) -> None:
        """Disconnect on a different event loop, after the original one was closed."""
        self.detach()
        if self._connection is not None:
            await self._connection.close()

    def subscribe_job_updates(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None = None,
        on_complete: JobCallback[TaskOutput] | None = None,
        on_error: ErrorCallback | None = None,
    ) -> str:
        """Follow a job by its id; see `ComputeClient.subscribe_job_updates`.

        Args:
            job_id: The job.
            on_progress: Called with the job for each change of status or progress.
            on_complete: Called once with the job when it has ended.
            on_error: Called with the error instead of ``on_complete`` if the job can no longer be read.

        Returns:
            Id of the subscription, for `unsubscribe`.
        """
        self.start()
        return self._tracker.subscribe(job_id, on_progress, on_complete, on_error)

    def subscribe_worker_updates(self, callback: WorkerCallback) -> str:
        """Subscribe to changes of the workers; see `ComputeClient.subscribe_worker_updates`.

        Args:
            callback: Called with the workers, by id, whenever they change.

        Returns:
            Id of the subscription, for `unsubscribe`.
        """
        self.start()
        return self._workers.subscribe(callback)

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription to a job or to the workers. Idempotent.

        Args:
            subscription_id: Id of the subscription; an unknown id is ignored.
        """
        self._workers.unsubscribe(subscription_id)
        self._tracker.unsubscribe(subscription_id)

    def workers(self) -> dict[str, WorkerCapability]:
        """List the workers.

        Returns:
            The workers that are present, by id.
        """
        return self._workers.present()

    def served(self) -> dict[str, int]:
        """Count the idle workers.

        Returns:
            Number of idle workers per task type.
        """
        return self._workers.served()

    @property
    def workers_changed(self) -> asyncio.Event:
        """An event that is set, and replaced by a new one, when a worker announces something."""
        return self._workers.changed

    def _on_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.CONNECTED:
            if self._said_lost:
                logger.info("MQTT is connected again: jobs are followed by push")
            self._said_lost = False
            self._tracker.on_push_live()
            return
        self._tracker.push.connected = False
        if state in {ConnectionState.DISCONNECTED, ConnectionState.REFUSED} and not self._said_lost:
            self._said_lost = True
            logger.warning(
                "No MQTT connection to %s (%s): jobs are followed over HTTP until it is connected",
                self._connection.address if self._connection else None,
                self._connection.problem if self._connection else None,
            )
            self._tracker.on_push_lost()

    def dispatch(self, messages: Iterable[MQTTMessage]) -> None:
        """Validate messages from the broker, and pass them on; invalid ones are counted and ignored.

        Args:
            messages: The messages, in the order of their arrival.
        """
        events = 0
        for message in messages:
            if len(message.payload) > _MAX_PAYLOAD:
                self._refuse(message, "too large")
                continue
            try:
                if message.topic == self._config.events_topic:
                    self._tracker.on_event(JobEvent.model_validate_json(message.payload))
                    events += 1
                elif (worker_id := self._worker_of(message.topic)) is not None:
                    self._on_worker(worker_id, message)
                else:
                    # Brokers such as amqtt also send retained messages for subscriptions of other clients.
                    self.unasked += 1
                    logger.debug("a message on %s was ignored: not subscribed to this topic", message.topic)
            except ValidationError as exc:
                self._refuse(message, f"{exc.error_count()} errors")
        if events:
            self._tracker.push.event_seen()

    def _refuse(self, message: MQTTMessage, reason: str) -> None:
        self.malformed += 1
        level = logging.WARNING if self.malformed == 1 else logging.DEBUG
        logger.log(
            level, "an invalid message on %s was ignored: %s: %r", message.topic, reason, message.payload[:80]
        )

    def _worker_of(self, topic: str) -> str | None:
        """Get the worker's id from a topic; the payload's own id is not used."""
        workers_topic, _, worker_id = topic.rpartition("/")
        return worker_id if worker_id and workers_topic == self._config.workers_topic else None

    def _on_worker(self, worker_id: str, message: MQTTMessage) -> None:
        if not message.payload:
            self._workers.on_goodbye(worker_id)
            return
        worker = WorkerCapability.model_validate_json(message.payload)
        worker = worker.model_copy(update={"worker_id": worker_id})
        self._workers.on_announcement(worker, retained=message.retain)
