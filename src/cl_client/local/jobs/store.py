"""The jobs of a local server in SQLite, so that they survive a crash."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict, Json, TypeAdapter

from cl_client.local.clock import now_ms
from cl_client.local.jobs.database import Database
from cl_client.local.jobs.shared_folders import JobSource
from cl_client.models import JSONObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
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

# Two servers on one file would run each job twice: the lock is held until the end.
_PREPARE = f"""
PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
BEGIN IMMEDIATE; {_SCHEMA} COMMIT;
"""

_JSON_OBJECT = TypeAdapter(JSONObject)
_STRINGS = TypeAdapter(list[str])
_COUNTS = TypeAdapter(list[int])


_Row: TypeAlias = tuple[object, ...]


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


_FIELDS = tuple(StoredJob.model_fields)
"""In the order of `_COLUMNS`."""


class JobStore:
    """The job table. Every method commits before it returns.

    Open it with `open`. Use it on one event loop; the file is locked against other processes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
        try:
            return cls(await Database.open(path, _PREPARE))
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            raise DataFolderInUseError(
                f"The data folder {path.parent} is in use by another server: stop it or choose another folder"
            ) from exc

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

    async def add(
        self,
        job_id: str,
        task_type: str,
        params: JSONObject,
        priority: int,
        source: JobSource | None = None,
        *,
        place_files: Callable[[], None] | None = None,
    ) -> StoredJob:
        """Queue a new job.

        Args:
            job_id: The id of the job; must be new.
            task_type: The name of the task.
            params: The task's parameters, with ``input_path`` and ``output_path``.
            priority: From 0 to 10; stored only, the queue is first come, first served.
            source: The job's file on the server's disk, if it was not uploaded.
            place_files: Called before the row is written, in the store's thread.

        Returns:
            The queued job.

        Raises:
            sqlite3.IntegrityError: A job with this id exists.
        """
        values = (job_id, task_type, QUEUED, _dump(params), priority, now_ms())

        def write(connection: sqlite3.Connection) -> StoredJob | None:
            if place_files is not None:
                place_files()
            if source is not None:
                row = (job_id, source.model_dump_json())
                connection.execute("INSERT INTO sources (job_id, source) VALUES (?, ?)", row)
            return _changed(
                connection,
                "INSERT INTO jobs (job_id, task_type, status, params, priority, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )

        job = await self._database.run(write)
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
        statement = f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ?"  # noqa: S608 - constant column names
        rows = await self._rows(statement, job_id)
        return next(map(_job, rows), None)

    async def source(self, job_id: str) -> JobSource | None:
        """Read which file on the server's disk a job is for.

        Args:
            job_id: The job's id.

        Returns:
            The file; None if the job's file was uploaded.
        """
        rows = await self._rows("SELECT source FROM sources WHERE job_id = ?", job_id)
        found = _STRINGS.validate_python([source for (source,) in rows])
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
        statement = "UPDATE jobs SET status = ?, progress = 0, started_at = NULL WHERE status = ?"
        return await self._database.run(
            lambda connection: connection.execute(statement, (QUEUED, PROCESSING)).rowcount
        )

    async def delete(self, job_id: str) -> bool:
        """Delete a job.

        Args:
            job_id: The job's id.

        Returns:
            False if the job was not found.
        """

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM sources WHERE job_id = ?", (job_id,))
            return connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,)).rowcount > 0

        return await self._database.run(write)

    async def all_ids(self) -> list[str]:
        """List all jobs.

        Returns:
            Their ids, ended ones included.
        """
        rows = await self._rows("SELECT job_id FROM jobs")
        return _STRINGS.validate_python([job_id for (job_id,) in rows])

    async def delete_ended_before(self, created_before: int, *, or_not_ended: bool = False) -> list[str]:
        """Delete the ended jobs that were created before a time.

        Args:
            created_before: Milliseconds since the Unix epoch.
            or_not_ended: Delete also those that have not ended.

        Returns:
            The ids of the deleted jobs.
        """

        def write(connection: sqlite3.Connection) -> list[_Row]:
            rows: list[_Row] = connection.execute(
                "DELETE FROM jobs WHERE (? OR status IN (?, ?)) AND created_at < ? RETURNING job_id",
                (or_not_ended, COMPLETED, FAILED, created_before),
            ).fetchall()
            connection.execute("DELETE FROM sources WHERE job_id NOT IN (SELECT job_id FROM jobs)")
            return rows

        return _STRINGS.validate_python([job_id for (job_id,) in await self._database.run(write)])

    async def count(self) -> int:
        """Count the stored jobs.

        Returns:
            The number of jobs, ended ones included.
        """
        rows = await self._rows("SELECT COUNT(*) FROM jobs")
        return _COUNTS.validate_python([jobs for (jobs,) in rows])[0]

    async def _rows(self, statement: str, *values: str) -> list[_Row]:
        """Run a query."""
        return await self._database.run(lambda connection: connection.execute(statement, values).fetchall())

    async def _write(self, statement: str, values: tuple[str | int, ...]) -> StoredJob | None:
        """Run a statement that changes one job, and return the changed job."""
        return await self._database.run(lambda connection: _changed(connection, statement, values))


def _changed(
    connection: sqlite3.Connection, statement: str, values: tuple[str | int, ...]
) -> StoredJob | None:
    rows: list[_Row] = connection.execute(f"{statement} RETURNING {_COLUMNS}", values).fetchall()
    return next(map(_job, rows), None)


def _job(row: _Row) -> StoredJob:
    return StoredJob.model_validate(dict(zip(_FIELDS, row, strict=True)))


def _dump(value: JSONObject) -> str:
    return _JSON_OBJECT.dump_json(value).decode()
