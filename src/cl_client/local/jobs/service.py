"""The job operations of a local server, without HTTP: submit, get, delete, clean up."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from cl_client._transfers.references import OUTPUT_PATH_FIELD, PATH_FIELD
from cl_client.local.clock import now_ms
from cl_client.local.jobs.folders import INPUT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from cl_client.local.jobs.folders import FoundFile, JobFolders
    from cl_client.local.jobs.shared_folders import JobSource
    from cl_client.local.jobs.store import JobStore, StoredJob
    from cl_client.local.settings import LocalServerSettings
    from cl_client.models import JSONObject

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class JobInput:
    """A job as it was received and validated.

    Attributes:
        file_name: The name of the file.
        params: The task's parameters.
        priority: From 0 to 10.
        source: The file on the server's disk; None for a file that was uploaded.
        content: The uploaded file, if it is small; None if it was stored.
    """

    file_name: str
    params: JSONObject
    priority: int
    source: JobSource | None = None
    content: bytes | None = field(default=None, repr=False)


class Workforce(Protocol):
    """What the service needs of the workers."""

    @property
    def size(self) -> int:
        """The number of workers."""
        ...

    @property
    def idle_count(self) -> int:
        """The number of idle workers."""
        ...

    def notify(self) -> None:
        """Tell the workers that a job was queued."""
        ...

    async def abandon(self, job_id: str) -> None:
        """Stop the worker that runs a job, if there is one.

        Args:
            job_id: The job to stop.
        """
        ...


class JobService:
    """The jobs of one server.

    Args:
        settings: The server's settings.
        store: The job table.
        folders: The files of the jobs.
        workers: The workers that run the jobs.
        on_queued: Called with each job that was queued.
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
            receive: Stores the file in the folder that is passed to it, unless it is small. Its exceptions
                reach the caller.

        Returns:
            The queued job.

        Raises:
            KeyError: The task is unknown.
        """
        _ = self.tasks[task_type]
        job_id = str(uuid.uuid4())
        try:
            received = await receive(self._folders.uploads / job_id / INPUT_FOLDER)
            params = {**self._paths(task_type, received), **received.params}
            # Its files and its row in one turn of the store's thread.
            place_files = partial(self._folders.admit, job_id, received.file_name, received.content)
            job = await self._store.add(
                job_id, task_type, params, received.priority, received.source, place_files=place_files
            )
        except BaseException:
            # Also if the client disconnects or the server is stopped meanwhile: leave nothing behind.
            await asyncio.shield(self._discard(job_id))
            raise
        self._on_queued(job)
        self._workers.notify()
        return job

    def _paths(self, task_type: str, received: JobInput) -> JSONObject:
        output_path = self.tasks[task_type].output_path_for(received.file_name, received.params)
        if received.source is None:
            return {"input_path": f"{INPUT_FOLDER}/{received.file_name}", "output_path": output_path}
        reference: JSONObject = {"input_path": "", PATH_FIELD: received.source.path}
        if task_type in self.settings.dialect.path_tasks:
            return {**reference, "output_path": "", OUTPUT_PATH_FIELD: output_path}
        return {**reference, "output_path": output_path}

    async def get(self, job_id: str) -> StoredJob | None:
        """Read a job.

        Args:
            job_id: The job's id.

        Returns:
            Its current state; None if it was not found.
        """
        return await self._store.get(job_id)

    async def delete(self, job_id: str) -> bool:
        """Delete a job: stop its worker and remove its files.

        Args:
            job_id: The job's id.

        Returns:
            False if the job was not found.
        """
        if not await self._store.delete(job_id):
            return False
        await self._workers.abandon(job_id)
        await asyncio.to_thread(self._folders.remove, job_id)
        return True

    async def _discard(self, job_id: str) -> None:
        await self._store.delete(job_id)
        await asyncio.to_thread(self._folders.remove, job_id)

    async def file(self, job_id: str, file_path: str) -> FoundFile:
        """Find a file of a job. Raises what `JobFolders.find` raises.

        Args:
            job_id: The job's id.
            file_path: Path relative to the job's folder.

        Returns:
            The file.
        """
        return await asyncio.to_thread(self._folders.find, job_id, file_path)

    async def storage(self) -> JSONObject:
        """Measure the storage of all jobs.

        Returns:
            ``total_size`` in bytes, and ``job_count``.
        """
        total_size = await asyncio.to_thread(self._folders.total_size)
        return {"total_size": total_size, "job_count": await self._store.count()}

    async def cleanup(self, days: int) -> JSONObject:
        """Delete the ended jobs that were created before a number of days; with real faults, all of them.

        Args:
            days: Minimum age of the jobs to delete, in days.

        Returns:
            ``deleted_count``, and ``freed_space`` in bytes.
        """
        # Times are counted from 1970; SQLite takes no integer of more than 64 bits.
        job_ids = await self._store.delete_ended_before(
            max(now_ms() - days * _DAY_MS, 0), or_not_ended=self.settings.real_faults
        )
        freed = [await asyncio.to_thread(self._folders.remove, job_id) for job_id in job_ids]
        return {"deleted_count": len(job_ids), "freed_space": sum(freed)}

    def capabilities(self) -> JSONObject:
        """Report the workers and the available tasks.

        Returns:
            ``num_workers``, and ``capabilities``: the number of idle workers for each available task.
        """
        tasks = self.settings.available_tasks()
        return {
            "num_workers": self._workers.size,
            "capabilities": dict.fromkeys(tasks, self._workers.idle_count),
        }
