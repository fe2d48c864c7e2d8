"""What a local server does, without HTTP: takes jobs in, knows them, gives them back, forgets them."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cl_client.local.http.job_form import parse_form
from cl_client.local.http.uploads import FormReceiver
from cl_client.local.jobs.folders import INPUT_FOLDER
from cl_client.local.jobs.store import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fastapi import Request

    from cl_client.local.broker.announcer import Announcer
    from cl_client.local.jobs.folders import JobFolders
    from cl_client.local.jobs.store import JobStore, StoredJob
    from cl_client.local.settings import LocalServerSettings
    from cl_client.local.tasks import TaskSpec
    from cl_client.local.workers.pool import WorkerPool
    from cl_client.models import JSONObject

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(slots=True)
class GuestMode:
    """Whether everything is open to everybody; the servers' default since early January 2026."""

    enabled: bool = True
    updated_at: int | None = None
    updated_by: str | None = None

    def set(self, *, enabled: bool, user_id: str | None) -> None:
        """Switch it, and note when and by whom; None for a guest."""
        self.enabled = enabled
        self.updated_at = now_ms()
        self.updated_by = user_id

    def as_json(self) -> JSONObject:
        """As the wire shows it."""
        return {"guest_mode": self.enabled, "updated_at": self.updated_at, "updated_by": self.updated_by}


class JobService:
    """The jobs of one server.

    Args:
        settings: The server's.
        store: The job table.
        folders: The files of the jobs.
        pool: The workers.
        announcer: Where created jobs are published.
    """

    def __init__(
        self,
        settings: LocalServerSettings,
        store: JobStore,
        folders: JobFolders,
        pool: WorkerPool,
        announcer: Announcer,
    ) -> None:
        self.settings = settings
        self.tasks: Mapping[str, TaskSpec] = settings.offered_tasks
        self.guest_mode = GuestMode(enabled=settings.auth is None)
        self._store = store
        self._folders = folders
        self._pool = pool
        self._announcer = announcer

    async def submit(self, task_type: str, request: Request) -> StoredJob:
        """Receive a job's file and parameters, and queue it.

        Raises:
            KeyError: There is no such task.
            HTTPException: The upload is too large or no form.
            RequestValidationError: A field is missing or out of its range.
        """
        spec = self.tasks[task_type]
        job_id = str(uuid.uuid4())
        upload = self._folders.uploads / job_id
        try:
            receiver = FormReceiver(upload / INPUT_FOLDER, self.settings.max_upload_bytes)
            form = await receiver.receive(request)
            params, priority = parse_form(form, spec)
            file_name = form.file_name or ""
            paths: JSONObject = {
                "input_path": f"{INPUT_FOLDER}/{file_name}",
                "output_path": spec.output_path_for(file_name, params),
            }
            await asyncio.to_thread(self._folders.admit, job_id)
            job = await self._store.add(job_id, task_type, {**paths, **params}, priority)
        except BaseException:
            # Also for a client that went away, or a server that is stopped meanwhile: nothing of it is left.
            await asyncio.shield(self._discard(job_id))
            raise
        self._announcer.job_changed(job)
        self._pool.notify()
        return job

    async def get(self, job_id: str) -> StoredJob | None:
        """The job now, None if there is none of that id."""
        return await self._store.get(job_id)

    async def delete(self, job_id: str) -> bool:
        """Forget a job, end the work on it, remove its files; whether it was there."""
        if not await self._store.delete(job_id):
            return False
        await self._pool.abandon(job_id)
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
        idle = sum(worker.idle for worker in self._pool.workers)
        tasks = self.settings.available_tasks()
        return {"num_workers": len(self._pool.workers), "capabilities": dict.fromkeys(tasks, idle)}
