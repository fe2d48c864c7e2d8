"""The registry of workers, from their retained announcements."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger

if TYPE_CHECKING:
    from cl_client.models import WorkerCapability

logger = get_logger("cl_client.workers")

# Seconds by which announcements of workers and events of jobs may be reordered: they use two connections.
_REORDERING = 0.5


class WorkerRegistry:
    """The present workers.

    The broker keeps the last announcement of a killed worker, so a worker is present only while announcements
    arrive: the age of a retained announcement is its ``timestamp``, of others their time of arrival.

    Args:
        stale_after: Seconds without an announcement after which a worker is considered gone.
    """

    def __init__(self, stale_after: float) -> None:
        self._stale_after = stale_after
        self._workers: dict[str, tuple[WorkerCapability, float]] = {}
        self._busy_since: dict[str, float] = {}

    def update(self, worker: WorkerCapability, *, retained: bool, now: float) -> float | None:
        """Record an announcement.

        Args:
            worker: The announced worker.
            retained: Whether the broker had stored the message.
            now: The loop time.

        Returns:
            If the worker has just become idle, the loop time since which it was busy; None otherwise.
        """
        age = time.time() - worker.timestamp / 1000 if retained else 0.0
        if age > self._stale_after:
            logger.debug(
                "worker %s is considered gone: its last announcement is %d s old", worker.worker_id, age
            )
            self.remove(worker.worker_id)
            return None
        known = worker.worker_id in self._workers
        self._workers[worker.worker_id] = (worker, now)
        if not worker.idle_count:
            self._busy_since.setdefault(worker.worker_id, now - _REORDERING if known else 0.0)
            return None
        return self._busy_since.pop(worker.worker_id, None)

    def remove(self, worker_id: str) -> None:
        """Remove a worker.

        Args:
            worker_id: The worker.
        """
        self._workers.pop(worker_id, None)
        self._busy_since.pop(worker_id, None)

    def present(self, now: float) -> dict[str, WorkerCapability]:
        """Get the workers with a recent announcement.

        Args:
            now: The loop time.

        Returns:
            The workers by id.
        """
        return {
            worker_id: worker
            for worker_id, (worker, seen) in self._workers.items()
            if now < seen + self._stale_after
        }

    def next_expiry(self) -> float | None:
        """Get the time at which the next worker expires.

        Returns:
            The loop time; None if there are no workers.
        """
        if not self._workers:
            return None
        return min(seen for _worker, seen in self._workers.values()) + self._stale_after

    def expire(self, now: float) -> None:
        """Remove the workers without a recent announcement.

        Args:
            now: The loop time.
        """
        for worker_id in self._workers.keys() - self.present(now).keys():
            logger.debug(
                "worker %s is considered gone: no announcement for %g s", worker_id, self._stale_after
            )
            self.remove(worker_id)

    def served(self, now: float) -> dict[str, int]:
        """Count the idle workers.

        Args:
            now: The loop time.

        Returns:
            Idle workers per task type; 0 if all of them are busy.
        """
        idle: Counter[str] = Counter()
        for worker in self.present(now).values():
            for task in worker.capabilities:
                idle[task] += min(worker.idle_count, 1)
        return dict(idle)
