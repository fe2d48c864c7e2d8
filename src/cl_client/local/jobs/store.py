"""The jobs of a local server in SQLite, so that they survive a crash."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import aiosqlite
from pydantic import BaseModel, ConfigDict, Json, TypeAdapter

from cl_client.local.clock import now_ms
from cl_client.local.jobs.shared_folders import JobSource
from cl_client.models import JSONObject

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

QUEUED = "queued"
PROCESSING = "processing"
COMPLETED = "completed"
FAILED = "error"
"""The status on servers of all generations; ``failed`` appears only in documents."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    task_type TEXT NOT NULL,
    status TEXT NOT NULL,
    progress INTEGER NOT NULL DEFAULT 0,
    params TEXT NOT NULL,
    task_output TEXT,
    error_message TEXT,
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER
);
CREATE TABLE IF NOT EXISTS sources (job_id TEXT PRIMARY KEY, source TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, sequence);
"""
_COLUMNS = (
    "job_id, task_type, status, progress, params, task_output, error_message, priority, "
    # Servers never change updated_at once the job is created.
    "created_at, created_at AS updated_at, started_at, completed_at"
)

_JSON_OBJECT = TypeAdapter(JSONObject)
_STRINGS = TypeAdapter(list[str])
_COUNTS = TypeAdapter(list[int])


class DataFolderInUseError(OSError):
    """The data folder is in use by another server."""


class StoredJob(BaseModel):
    """A job, with the field names and order of the wire. Times are milliseconds since the epoch."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    task_type: str
    status: str
    progress: int
    params: Json[JSONObject]
    task_output: Json[JSONObject] | None
    error_message: str | None
    priority: int
    created_at: int
    updated_at: int
    started_at: int | None
    completed_at: int | None


class JobStore:
    """The job table. Every method commits before it returns.

    Open it with `open`. Use it on one event loop; the file is locked against other processes.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: Path) -> JobStore:
        """Open the store.

        Args:
            path: The database file; created if it does not exist.

        Returns:
            The store, to be closed with `close`.

        Raises:
            DataFolderInUseError: Another process has the file open.
            sqlite3.OperationalError: SQLite cannot open the file.
        """
        connection = await aiosqlite.connect(path, isolation_level=None, timeout=0.5)
        connection.row_factory = sqlite3.Row
        try:
            # Two servers on one file would run each job twice: the lock is held until the end.
            await connection.executescript(
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
            )
            await connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        except sqlite3.OperationalError as exc:
            await connection.close()
            if "locked" not in str(exc):
                raise
            raise DataFolderInUseError(
                f"The data folder {path.parent} is in use by another server: stop it or choose another folder"
            ) from exc
        except BaseException:
            await connection.close()
            raise
        return cls(connection)

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()

    async def add(
        self,
        job_id: str,
        task_type: str,
        params: JSONObject,
        priority: int,
        source: JobSource | None = None,
    ) -> StoredJob:
        """Queue a new job.

        Args:
            job_id: The id of the job; must be new.
            task_type: The name of the task.
            params: The task's parameters, with ``input_path`` and ``output_path``.
            priority: From 0 to 10; stored only, the queue is first come, first served.
            source: The job's file on the server's disk, if it was not uploaded.

        Returns:
            The queued job.

        Raises:
            sqlite3.IntegrityError: A job with this id exists.
        """
        if source is not None:  # before the job, which may be claimed at once
            await self._connection.execute(
                "INSERT INTO sources (job_id, source) VALUES (?, ?)", (job_id, source.model_dump_json())
            )
        values = (job_id, task_type, QUEUED, _dump(params), priority, now_ms())
        job = await self._write(
            "INSERT INTO jobs (job_id, task_type, status, params, priority, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )
        if job is None:
            raise sqlite3.IntegrityError(f"Job {job_id} was not stored")
        return job

    async def get(self, job_id: str) -> StoredJob | None:
        """Read a job.

        Args:
            job_id: The job's id.

        Returns:
            Its current state; None if it was not found.
        """
        rows = await self._connection.execute_fetchall(
            f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ?",  # noqa: S608 - constant column names
            (job_id,),
        )
        return next((_job(row) for row in rows), None)

    async def source(self, job_id: str) -> JobSource | None:
        """Read which file on the server's disk a job is for.

        Args:
            job_id: The job's id.

        Returns:
            The file; None if the job's file was uploaded.
        """
        rows = await self._connection.execute_fetchall(
            "SELECT source FROM sources WHERE job_id = ?", (job_id,)
        )
        found = _STRINGS.validate_python([row["source"] for row in rows])
        return next(map(JobSource.model_validate_json, found), None)

    async def claim(self, task_types: Iterable[str]) -> StoredJob | None:
        """Take the oldest queued job and set it to ``processing``.

        Args:
            task_types: The tasks that the worker can run.

        Returns:
            The job; None if no job of these tasks is queued.
        """
        wanted = _STRINGS.dump_json(list(task_types)).decode()
        return await self._write(
            "UPDATE jobs SET status = ?, started_at = ? WHERE sequence = (SELECT sequence FROM jobs "
            "WHERE status = ? AND task_type IN (SELECT value FROM json_each(?)) ORDER BY sequence LIMIT 1)",
            (PROCESSING, now_ms(), QUEUED, wanted),
        )

    async def set_progress(self, job_id: str, progress: int) -> StoredJob | None:
        """Store the progress of a running job.

        Args:
            job_id: The job's id.
            progress: Percent, 0-100.

        Returns:
            The changed job; None if it was deleted.
        """
        return await self._write(
            "UPDATE jobs SET progress = ? WHERE job_id = ? AND status = ?", (progress, job_id, PROCESSING)
        )

    async def complete(self, job_id: str, output: JSONObject) -> StoredJob | None:
        """End a running job successfully.

        Args:
            job_id: The job's id.
            output: The ``task_output``.

        Returns:
            The completed job; None if it was deleted.
        """
        return await self._write(
            "UPDATE jobs SET status = ?, progress = 100, task_output = ?, completed_at = ? "
            "WHERE job_id = ? AND status = ?",
            (COMPLETED, _dump(output), now_ms(), job_id, PROCESSING),
        )

    async def fail(self, job_id: str, message: str) -> StoredJob | None:
        """End a running job with an error; its progress stays as it is.

        Args:
            job_id: The job's id.
            message: The ``error_message``.

        Returns:
            The failed job; None if it was deleted.
        """
        return await self._write(
            "UPDATE jobs SET status = ?, error_message = ?, completed_at = ? WHERE job_id = ? AND status = ?",
            (FAILED, message, now_ms(), job_id, PROCESSING),
        )

    async def requeue_interrupted(self) -> int:
        """Queue the jobs again that were running when the server stopped.

        Returns:
            The number of these jobs.
        """
        cursor = await self._connection.execute(
            "UPDATE jobs SET status = ?, progress = 0, started_at = NULL WHERE status = ?",
            (QUEUED, PROCESSING),
        )
        return cursor.rowcount

    async def delete(self, job_id: str) -> bool:
        """Delete a job.

        Args:
            job_id: The job's id.

        Returns:
            False if the job was not found.
        """
        await self._connection.execute("DELETE FROM sources WHERE job_id = ?", (job_id,))
        cursor = await self._connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
        return cursor.rowcount > 0

    async def all_ids(self) -> list[str]:
        """List all jobs.

        Returns:
            Their ids, ended ones included.
        """
        rows = await self._connection.execute_fetchall("SELECT job_id FROM jobs")
        return _STRINGS.validate_python([row["job_id"] for row in rows])

    async def delete_ended_before(self, created_before: int, *, or_not_ended: bool = False) -> list[str]:
        """Delete the ended jobs that were created before a time.

        Args:
            created_before: Milliseconds since the Unix epoch.
            or_not_ended: Delete also those that have not ended.

        Returns:
            The ids of the deleted jobs.
        """
        rows = await self._connection.execute_fetchall(
            "DELETE FROM jobs WHERE (? OR status IN (?, ?)) AND created_at < ? RETURNING job_id",
            (or_not_ended, COMPLETED, FAILED, created_before),
        )
        await self._connection.execute("DELETE FROM sources WHERE job_id NOT IN (SELECT job_id FROM jobs)")
        return _STRINGS.validate_python([row["job_id"] for row in rows])

    async def count(self) -> int:
        """Count the stored jobs.

        Returns:
            The number of jobs, ended ones included.
        """
        rows = await self._connection.execute_fetchall("SELECT COUNT(*) AS jobs FROM jobs")
        return _COUNTS.validate_python([row["jobs"] for row in rows])[0]

    async def _write(self, statement: str, values: tuple[str | int, ...]) -> StoredJob | None:
        """Run a statement that changes one job, and return the changed job."""
        rows = await self._connection.execute_fetchall(f"{statement} RETURNING {_COLUMNS}", values)
        return next((_job(row) for row in rows), None)


def _job(row: sqlite3.Row) -> StoredJob:
    return StoredJob.model_validate(dict(row))


def _dump(value: JSONObject) -> str:
    return _JSON_OBJECT.dump_json(value).decode()
