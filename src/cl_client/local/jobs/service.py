"""What a local server does, without HTTP: takes jobs in, knows them, gives them back, forgets them."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cl_client.local.clock import now_ms
from cl_client.local.jobs.folders import INPUT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from cl_client.local.jobs.folders import JobFolders
    from cl_client.local.jobs.store import JobStore, StoredJob
    from cl_client.local.settings import LocalServerSettings
    from cl_client.models import JSONObject

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class JobInput:
    """What a job is made of, once it was received and found to be in order.

    Attributes:
        file_name: The name under which its file was stored.
        params: The task's parameters.
        priority: From 0 to 10.
    """

    file_name: str
    params: JSONObject
    priority: int


class Workforce(Protocol):
    """Who does the jobs, as far as the service has to know."""

    @property
    def size(self) -> int:
        """How many workers there are."""
        ...

    @property
    def idle_count(self) -> int:
        """How many of them have nothing to do."""
        ...

    def notify(self) -> None:
        """There is work."""
        ...

    async def abandon(self, job_id: str) -> None:
        """Stop working on a job, if anybody is."""
        ...


class JobService:
    """The jobs of one server.

    Args:
        settings: The server's.
        store: The job table.
        folders: The files of the jobs.
        workers: Who does the jobs.
        on_queued: Called with each job that was taken in.
    """

    def __init__(
        self,
        settings: LocalServerSettings,
        store: JobStore,
        folders: JobFolders,
        workers: Workforce,
        on_queued: Callable[[StoredJob], None],
    ) -> None:
        self.settings = settings
        self.tasks = settings.offered_tasks
        self._store = store
        self._folders = folders
        self._workers = workers
        self._on_queued = on_queued

    async def submit(self, task_type: str, receive: Callable[[Path], Awaitable[JobInput]]) -> StoredJob:
        """Receive a job's file and parameters, and queue it.

        Args:
            task_type: One of `tasks`.
            receive: Stores the file in the folder that it is given. What it raises goes to the caller.

        Raises:
            KeyError: There is no such task.
        """
        spec = self.tasks[task_type]
        job_id = str(uuid.uuid4())
        try:
            received = await receive(self._folders.uploads / job_id / INPUT_FOLDER)
            paths: JSONObject = {
                "input_path": f"{INPUT_FOLDER}/{received.file_name}",
                "output_path": spec.output_path_for(received.file_name, received.params),
            }
            await asyncio.to_thread(self._folders.admit, job_id)
            params = {**paths, **received.params}
            job = await self._store.add(job_id, task_type, params, received.priority)
        except BaseException:
            # Also for a client that went away, or a server that is stopped meanwhile: nothing of it is left.
            await asyncio.shield(self._discard(job_id))
            raise
        self._on_queued(job)
        self._workers.notify()
        return job

    async def get(self, job_id: str) -> StoredJob | None:
        """The job now, None if there is none of that id."""
        return await self._store.get(job_id)

    async def delete(self, job_id: str) -> bool:
        """Forget a job, end the work on it, remove its files; whether it was there."""
        if not await self._store.delete(job_id):
            return False
        await self._workers.abandon(job_id)
        await asyncio.to_thread(self._folders.remove, job_id)
        return True

    async def _discard(self, job_id: str) -> None:
        await self._store.delete(job_id)
        await asyncio.to_thread(self._folders.remove, job_id)

    async def file(self, job_id: str, file_path: str) -> Path:
        """A file of a job; raises what `JobFolders.resolve` raises."""
        return await asyncio.to_thread(self._folders.resolve, job_id, file_path)

    async def storage(self) -> JSONObject:
        """How much there is."""
        total_size = await asyncio.to_thread(self._folders.total_size)
        return {"total_size": total_size, "job_count": await self._store.count()}

    async def cleanup(self, days: int) -> JSONObject:
        """Forget the jobs that have ended and are older than so many days."""
        job_ids = await self._store.delete_ended_before(now_ms() - days * _DAY_MS)
        freed = [await asyncio.to_thread(self._folders.remove, job_id) for job_id in job_ids]
        return {"deleted_count": len(job_ids), "freed_space": sum(freed)}

    def capabilities(self) -> JSONObject:
        """How many workers there are, and how many of them are idle per task whose models are there."""
        tasks = self.settings.available_tasks()
        return {
            "num_workers": self._workers.size,
            "capabilities": dict.fromkeys(tasks, self._workers.idle_count),
        }
