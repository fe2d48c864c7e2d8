"""Which workers are there, from their retained announcements."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from cl_client.models import WorkerCapability

logger = get_logger("cl_client.workers")

# Announcements of a worker and of the jobs that it runs travel on two connections.
_REORDERING = 0.5


class WorkerRegistry:
    """The live map of workers.

    A killed worker leaves its last announcement retained, so a worker counts only while its announcements go
    on: ``timestamp`` judges a retained one, the time of arrival judges the others.
    """

    def __init__(self, stale_after: float) -> None:
        self._stale_after = stale_after
        self._workers: dict[str, tuple[WorkerCapability, float]] = {}
        self._busy_since: dict[str, float] = {}

    def update(self, worker: WorkerCapability, *, retained: bool, now: float) -> float | None:
        """Take an announcement; where the worker has just become idle, the time since which it was busy."""
        age = time.time() - worker.timestamp / 1000 if retained else 0.0
        if age > self._stale_after:
            logger.debug("worker %s announced itself %d s ago and is taken for dead", worker.worker_id, age)
            self.remove(worker.worker_id)
            return None
        known = worker.worker_id in self._workers
        self._workers[worker.worker_id] = (worker, now)
        if not worker.idle_count:
            self._busy_since.setdefault(worker.worker_id, now - _REORDERING if known else 0.0)
            return None
        return self._busy_since.pop(worker.worker_id, None)

    def remove(self, worker_id: str) -> None:
        """A worker said good-bye."""
        self._workers.pop(worker_id, None)
        self._busy_since.pop(worker_id, None)

    def present(self, now: float) -> dict[str, WorkerCapability]:
        """The workers whose last sign of life is recent, by id."""
        return {
            worker_id: worker
            for worker_id, (worker, seen) in self._workers.items()
            if now < seen + self._stale_after
        }

    def next_expiry(self) -> float | None:
        """When the first of them will have been silent for too long; None where there is none."""
        if not self._workers:
            return None
        return min(seen for _worker, seen in self._workers.values()) + self._stale_after

    def expire(self, now: float) -> None:
        """Remove those that were silent for too long."""
        for worker_id in self._workers.keys() - self.present(now).keys():
            logger.debug(
                "worker %s has been silent for %g s and is taken for dead", worker_id, self._stale_after
            )
            self.remove(worker_id)

    def served(self, now: float) -> dict[str, int]:
        """Idle workers per task type; a task whose workers are all busy counts 0."""
        idle: Counter[str] = Counter()
        for worker in self.present(now).values():
            for task in worker.capabilities:
                idle[task] += min(worker.idle_count, 1)
        return dict(idle)
