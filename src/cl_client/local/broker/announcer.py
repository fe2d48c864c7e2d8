"""What a local server says over MQTT, in the words of its generation."""

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
        publisher: The way to the broker.
        dialect: What the generation says, and how.
        capabilities: The tasks of the workers; asked for at each announcement, as models come and go.
        announce_failures: Publish an event for a failure also where the generation does not.
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

    def job_changed(self, job: StoredJob) -> None:
        """A job was created, claimed, got on, or ended: publish that if the generation does."""
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
        self._publisher.publish(EVENTS_TOPIC, _JSON_OBJECT.dump_json(event), lasting=has_ended)

    def worker_changed(self, worker_id: str, *, idle: bool) -> None:
        """Announce a worker, retained, so that whoever comes later knows it too."""
        announcement: JSONObject = {
            self._dialect.worker_key: worker_id,
            "capabilities": list(self._capabilities()),
            "idle_count": int(idle),
            "timestamp": now_ms(),
        }
        topic = f"{WORKERS_TOPIC}/{worker_id}"
        self._publisher.publish(topic, _JSON_OBJECT.dump_json(announcement), retain=True)

    def worker_left(self, worker_id: str) -> None:
        """Take a worker's announcement back: an empty retained payload removes it from the broker."""
        self._publisher.publish(f"{WORKERS_TOPIC}/{worker_id}", b"", retain=True, lasting=True)
