"""The jobs of a local server, in SQLite: what is committed here survives a crash."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import aiosqlite
from pydantic import BaseModel, ConfigDict, Json, TypeAdapter

from cl_client.local.clock import now_ms
from cl_client.models import JSONObject

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

QUEUED = "queued"
PROCESSING = "processing"
COMPLETED = "completed"
FAILED = "error"
"""The word of servers of all generations; only notes say ``failed``."""

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
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, sequence);
"""
_COLUMNS = (
    "job_id, task_type, status, progress, params, task_output, error_message, priority, "
    # Servers never touch it again once the job is created.
    "created_at, created_at AS updated_at, started_at, completed_at"
)

_JSON_OBJECT = TypeAdapter(JSONObject)
_STRINGS = TypeAdapter(list[str])
_COUNTS = TypeAdapter(list[int])


class DataFolderInUseError(OSError):
    """Another server works with the same data folder."""


class StoredJob(BaseModel):
    """A job, its fields named and ordered as on the wire. Times are milliseconds since the epoch."""

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

    Open it with `open`; one event loop uses it at a time, and one process has the file for itself.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: Path) -> JobStore:
        """Open the store, made if it is not there.

        Raises:
            DataFolderInUseError: Another process has it open.
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
            raise DataFolderInUseError(f"Another server works with {path.parent}") from exc
        except BaseException:
            await connection.close()
            raise
        return cls(connection)

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()

    async def add(self, job_id: str, task_type: str, params: JSONObject, priority: int) -> StoredJob:
        """Queue a new job."""
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
        """The job now, None if there is none of that id."""
        rows = await self._connection.execute_fetchall(
            f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ?",  # noqa: S608 - constant column names
            (job_id,),
        )
        return next((_job(row) for row in rows), None)

    async def claim(self, task_types: Iterable[str]) -> StoredJob | None:
        """Take the oldest queued job of these tasks, None if there is none: first come, first served."""
        wanted = _STRINGS.dump_json(list(task_types)).decode()
        return await self._write(
            "UPDATE jobs SET status = ?, started_at = ? WHERE sequence = (SELECT sequence FROM jobs "
            "WHERE status = ? AND task_type IN (SELECT value FROM json_each(?)) ORDER BY sequence LIMIT 1)",
            (PROCESSING, now_ms(), QUEUED, wanted),
        )

    async def set_progress(self, job_id: str, progress: int) -> StoredJob | None:
        """Note progress, 0-100; None if the job is not there any more."""
        return await self._write(
            "UPDATE jobs SET progress = ? WHERE job_id = ? AND status = ?", (progress, job_id, PROCESSING)
        )

    async def complete(self, job_id: str, output: JSONObject) -> StoredJob | None:
        """End a job with its output; None if it is not there any more."""
        return await self._write(
            "UPDATE jobs SET status = ?, progress = 100, task_output = ?, completed_at = ? "
            "WHERE job_id = ? AND status = ?",
            (COMPLETED, _dump(output), now_ms(), job_id, PROCESSING),
        )

    async def fail(self, job_id: str, message: str) -> StoredJob | None:
        """End a job without success, its progress as it was; None if it is not there any more."""
        return await self._write(
            "UPDATE jobs SET status = ?, error_message = ?, completed_at = ? WHERE job_id = ? AND status = ?",
            (FAILED, message, now_ms(), job_id, PROCESSING),
        )

    async def requeue_interrupted(self) -> int:
        """Queue the jobs again that were running when the server ended; how many there were."""
        cursor = await self._connection.execute(
            "UPDATE jobs SET status = ?, progress = 0, started_at = NULL WHERE status = ?",
            (QUEUED, PROCESSING),
        )
        return cursor.rowcount

    async def delete(self, job_id: str) -> bool:
        """Forget a job; whether it was there."""
        cursor = await self._connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
        return cursor.rowcount > 0

    async def delete_ended_before(self, created_before: int) -> list[str]:
        """Forget the jobs that have ended and were created before a time; their ids."""
        rows = await self._connection.execute_fetchall(
            "DELETE FROM jobs WHERE status IN (?, ?) AND created_at < ? RETURNING job_id",
            (COMPLETED, FAILED, created_before),
        )
        return _STRINGS.validate_python([row["job_id"] for row in rows])

    async def count(self) -> int:
        """How many jobs are known."""
        rows = await self._connection.execute_fetchall("SELECT COUNT(*) AS jobs FROM jobs")
        return _COUNTS.validate_python([row["jobs"] for row in rows])[0]

    async def _write(self, statement: str, values: tuple[str | int, ...]) -> StoredJob | None:
        """Run a statement that changes one job, and give the job as it is then."""
        rows = await self._connection.execute_fetchall(f"{statement} RETURNING {_COLUMNS}", values)
        return next((_job(row) for row in rows), None)


def _job(row: sqlite3.Row) -> StoredJob:
    return StoredJob.model_validate(dict(row))


def _dump(value: JSONObject) -> str:
    return _JSON_OBJECT.dump_json(value).decode()
