"""A tracker without a client around it, and a job for it to follow."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from cl_client._jobs.reader import JobReader
from cl_client._jobs.tracker import JobTracker
from cl_client._jobs.workers import Workers
from cl_client.config import ComputeClientConfig
from cl_client.models import JobEvent, JobResponse, WorkerCapabilities
from cl_client.mqtt_monitor import MQTTJobMonitor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CONFIG = ComputeClientConfig(poll_min=0.01, poll_interval=0.01, poll_interval_push=0.01)
IDLE_CONFIG = ComputeClientConfig(poll_min=1000, poll_interval=1000, poll_interval_push=1000)


def job(status: str, progress: int = 0) -> JobResponse:
    values = {"job_id": "j", "task_type": "hash", "status": status, "progress": progress}
    return JobResponse.model_validate(values)


def event(status: str, progress: int = 0) -> JobEvent:
    return JobEvent(job_id="j", event_type=status, progress=progress)


class Server:
    """A job as a server stores it, and what happens when it is read."""

    def __init__(self, *states: JobResponse | BaseException) -> None:
        self._states = list(states)
        self.reads = 0

    async def read(self, _job_id: str) -> JobResponse:
        self.reads += 1
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        await asyncio.sleep(0)
        if isinstance(state, BaseException):
            raise state
        return state


def tracker_of(
    read: Callable[[str], Awaitable[JobResponse]], config: ComputeClientConfig = CONFIG
) -> JobTracker:
    tracker = JobTracker(reader_of(read, config), config)
    tracker.push.connected = True
    return tracker


def monitor_of(tracker: JobTracker, config: ComputeClientConfig) -> tuple[MQTTJobMonitor, Workers]:
    async def no_server(*, quiet: bool) -> WorkerCapabilities:
        raise AssertionError(quiet)

    workers = Workers(no_server, tracker, config.worker_stale_after)
    return MQTTJobMonitor(config, tracker, workers, ssl.create_default_context), workers


def reader_of(
    read: Callable[[str], Awaitable[JobResponse]], config: ComputeClientConfig = CONFIG
) -> JobReader:
    return JobReader(read, limit=config.max_concurrent_reads, cache_size=config.job_cache_size)
