"""The MQTT messages of a local server, in the format of its generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from cl_client.local.clock import now_ms
from cl_client.local.jobs.store import COMPLETED, FAILED, PROCESSING
from cl_client.models import JSONObject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cl_client.local.broker.publisher import Publisher
    from cl_client.local.generations import Dialect
    from cl_client.local.jobs.store import StoredJob

EVENTS_TOPIC = "inference/events"
WORKERS_TOPIC = "inference/workers"

_JSON_OBJECT = TypeAdapter(JSONObject)


class Announcer:
    """Publishes the events of jobs and the announcements of workers.

    Args:
        publisher: Sends the messages to the broker.
        dialect: The wire format of the generation.
        capabilities: Returns the tasks of the workers; called for each announcement, as models may be added.
        announce_failures: Publish an event for every failure, even if the generation does not.
    """

    def __init__(
        self,
        publisher: Publisher,
        dialect: Dialect,
        capabilities: Callable[[], Sequence[str]],
        *,
        announce_failures: bool = False,
    ) -> None:
        self._publisher = publisher
        self._dialect = dialect
        self._capabilities = capabilities
        self._announces_failures = dialect.announces_failure or announce_failures
        self.silent = False
        """While True nothing is published, as when all messages were lost."""

    def job_changed(self, job: StoredJob) -> None:
        """Publish the event of a job that was created, claimed, made progress or ended.

        Does nothing if the generation has no such event.

        Args:
            job: The job in its new state.
        """
        if job.status == FAILED and not self._announces_failures:
            return
        if job.status == PROCESSING and job.progress > 0 and not self._dialect.announces_progress:
            return
        event: JSONObject = {
            "job_id": job.job_id,
            "event_type": job.status,
            "timestamp": now_ms(),
            "progress": job.progress,
        }
        has_ended = job.status in {COMPLETED, FAILED}
        self._publish(EVENTS_TOPIC, _JSON_OBJECT.dump_json(event), lasting=has_ended)

    def worker_changed(self, worker_id: str, *, idle: bool) -> None:
        """Publish a worker's announcement, retained for later subscribers.

        Args:
            worker_id: The last part of the topic.
            idle: Whether the worker is free to take a job.
        """
        announcement: JSONObject = {
            self._dialect.worker_key: worker_id,
            "capabilities": list(self._capabilities()),
            "idle_count": int(idle),
            "timestamp": now_ms(),
        }
        topic = f"{WORKERS_TOPIC}/{worker_id}"
        self._publish(topic, _JSON_OBJECT.dump_json(announcement), retain=True)

    def worker_left(self, worker_id: str) -> None:
        """Withdraw a worker's announcement: an empty retained payload removes it from the broker.

        Args:
            worker_id: The last part of the topic.
        """
        self._publish(f"{WORKERS_TOPIC}/{worker_id}", b"", retain=True, lasting=True)

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False, lasting: bool = False) -> None:
        if not self.silent:
            self._publisher.publish(topic, payload, retain=retain, lasting=lasting)
