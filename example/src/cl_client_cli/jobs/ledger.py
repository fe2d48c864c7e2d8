"""The ledger: all jobs that were submitted from this machine, and their last known status."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from cl_client import JobStatus
from cl_client_cli.database import explained, open_database, open_to_read, read_row, storable, transaction
from cl_client_cli.frame.user_folders import data_folder
from cl_client_cli.jobs.ledger_entry import FORGOTTEN, LedgerEntry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Self

    from cl_client import JobResponse, JSONObject

_DELETED: Final = str(JobStatus.DELETED)
_MOST_ROWS: Final = 2**63 - 1
"""The largest integer of SQLite."""
_VERSION: Final = 2
_INDEXES: Final = """
CREATE INDEX jobs_by_target ON jobs (target, kept_at) WHERE kept_at IS NOT NULL;
CREATE INDEX jobs_running ON jobs (server, submitted_at) WHERE ended_at IS NULL
"""
_SCHEMA: Final = """
CREATE TABLE jobs (
    server TEXT NOT NULL,
    job_id TEXT NOT NULL,
    task TEXT NOT NULL,
    source TEXT NOT NULL,
    source_size INTEGER,
    source_mtime_ns INTEGER,
    params TEXT NOT NULL,
    target TEXT,
    status TEXT NOT NULL,
    progress INTEGER NOT NULL,
    error TEXT,
    submitted_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    ended_at REAL,
    kept_at REAL,
    PRIMARY KEY (server, job_id)
);
CREATE INDEX jobs_by_time ON jobs (submitted_at);
"""
_UPGRADES: Final = (
    # Version 1 did not record whether a result was downloaded, and assumed it.
    """
ALTER TABLE jobs ADD COLUMN kept_at REAL;
UPDATE jobs SET kept_at = ended_at WHERE status = 'completed' AND target IS NOT NULL;
DROP INDEX jobs_by_target;
"""
    + _INDEXES,
)


class Ledger:
    """The open ledger; several processes may open it at the same time.

    Its methods take less than a millisecond, unless another process is writing.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, can_write: bool = True) -> None:
        self.can_write = can_write
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path | None = None) -> Self:
        """Open a ledger, and create it if it does not exist.

        Args:
            path: The file; None for the user's ledger.

        Returns:
            The ledger.

        Raises:
            ConfigurationError: The file cannot be used.
        """
        path = path or _users_file()
        return cls(open_database(path, _SCHEMA + _INDEXES, _VERSION, _UPGRADES), path)

    @classmethod
    def open_to_read(cls) -> Self:
        """Open the user's ledger for reading; ``can_write`` says whether it is also writable.

        Returns:
            The ledger.

        Raises:
            ConfigurationError: The file cannot be used.
        """
        path = _users_file()
        connection, can_write = open_to_read(path, _SCHEMA + _INDEXES, _VERSION, _UPGRADES)
        return cls(connection, path, can_write=can_write)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._connection.close()

    def submitted(
        self, job: JobResponse, *, server: str, source: str, params: JSONObject, target: Path | None
    ) -> None:
        """Record a job that the server has accepted.

        Args:
            job: The job.
            server: The URL of the server.
            source: The path of the file that was submitted.
            params: The parameters of the task.
            target: Where the result will be saved; None for nowhere.
        """
        now = time.time()
        try:
            stat = Path(source).stat()
            size, mtime_ns = stat.st_size, stat.st_mtime_ns
        except OSError:
            size = mtime_ns = None
        self._write(
            "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                server,
                job.job_id,
                job.task_type,
                source,
                size,
                mtime_ns,
                json.dumps(params),
                None if target is None else str(target.absolute()),
                str(job.status),
                job.progress,
                job.error_message,
                now,
                now,
                now if job.status.is_terminal else None,
            ),
        )

    def updated(self, job: JobResponse, *, server: str) -> None:
        """Record the current state of a job; jobs submitted from other machines are ignored.

        For a job that has ended, only a deletion is recorded: any other state is older.

        Args:
            job: The job as last read.
            server: The URL of the server.
        """
        with self._lock, explained(self._path):
            _update(self._connection, job, server)

    def ended(self, job: JobResponse, *, server: str, kept: bool) -> None:
        """Record that a job has ended, see `updated`, and whether its result was saved, as one change.

        Args:
            job: The job as last read.
            server: The URL of the server.
            kept: Whether its result was saved at its target.
        """
        with self._lock, explained(self._path), transaction(self._connection):
            _update(self._connection, job, server)
            if kept:
                _keep(self._connection, job.job_id, server)

    def forgotten(self, job_id: str, *, server: str) -> None:
        """Record that the server no longer has a job, unless it was deleted from here.

        Args:
            job_id: The ID of the job.
            server: The URL of the server.
        """
        now = time.time()
        self._write(
            "UPDATE jobs SET status = ?, updated_at = ?, ended_at = coalesce(ended_at, ?)"
            " WHERE server = ? AND job_id = ? AND status != ?",
            (FORGOTTEN, now, now, server, job_id, _DELETED),
        )

    def result_of(self, target: Path) -> LedgerEntry | None:
        """Find the job whose result was last written to a file.

        Args:
            target: The file.

        Returns:
            The job; None if no job wrote it.
        """
        found = self._select(
            "target = ? AND kept_at IS NOT NULL", [str(target.absolute())], order="kept_at", limit=1
        )
        return found[0] if found else None

    def find(self, prefix: str, *, server: str) -> list[str]:
        """Find the jobs of a server by the first letters of their IDs.

        Args:
            prefix: The first letters.
            server: The URL of the server.

        Returns:
            The job IDs, the latest first.
        """
        with self._lock, explained(self._path):
            rows = cast(
                "list[tuple[str]]",
                self._connection.execute(
                    "SELECT job_id FROM jobs WHERE substr(job_id, 1, ?) = ? AND server = ?"
                    " ORDER BY submitted_at DESC, rowid DESC",
                    storable((len(prefix), prefix, server)),
                ).fetchall(),
            )
        return [row[0] for row in rows]

    def entries(
        self,
        *,
        server: str | None = None,
        status: str | None = None,
        task: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[LedgerEntry]:
        """List jobs, the latest first.

        Args:
            server: The URL of the server; None for all servers.
            status: Only jobs with this status; None for all.
            task: Only jobs of this task; None for all.
            since: Only jobs submitted after this time; None for all.
            limit: The maximum number of jobs; None for no limit.

        Returns:
            The jobs.
        """
        return self._select(*_conditions(server, status, task, since), limit=limit)

    def running(
        self,
        server: str,
        *,
        task: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[LedgerEntry]:
        """List the jobs of a server that are not known to have ended, the latest first.

        Args:
            server: The URL of the server.
            task: Only jobs of this task; None for all.
            since: Only jobs submitted after this time; None for all.
            limit: The maximum number of jobs; None for no limit.

        Returns:
            The jobs.
        """
        where, values = _conditions(server, None, task, since)
        return self._select(f"ended_at IS NULL AND {where}", values, limit=limit)

    def count(
        self, *, status: str | None = None, task: str | None = None, since: datetime | None = None
    ) -> int:
        """Count the jobs on all servers.

        Args:
            status: Only jobs with this status; None for all.
            task: Only jobs of this task; None for all.
            since: Only jobs submitted after this time; None for all.

        Returns:
            The number of jobs.
        """
        where, values = _conditions(None, status, task, since)
        with self._lock, explained(self._path):
            row = cast(
                "tuple[int]",
                self._connection.execute(
                    f"SELECT count(*) FROM jobs WHERE {where}",  # noqa: S608 - see `_conditions`
                    storable(values),
                ).fetchone(),
            )
        return row[0]

    def prune(self, *, ended_before: datetime, unheard_of_since: datetime) -> int:
        """Remove old jobs.

        Args:
            ended_before: Remove jobs that ended before this time.
            unheard_of_since: Remove jobs without a known end if their last update is older than this.

        Returns:
            The number of jobs removed.
        """
        return self._write(
            "DELETE FROM jobs WHERE ended_at < ? OR (ended_at IS NULL AND updated_at < ?)",
            (ended_before.timestamp(), unheard_of_since.timestamp()),
        )

    def _write(self, statement: str, values: Sequence[str | float | None]) -> int:
        # Several threads record jobs that end at the same time, and a connection serves one at a time.
        with self._lock, explained(self._path):
            return self._connection.execute(statement, storable(values)).rowcount

    def _select(
        self,
        where: str,
        values: Sequence[str | float],
        *,
        order: str = "submitted_at",
        limit: int | None = None,
    ) -> list[LedgerEntry]:
        # The conditions are constants; values are bound to their placeholders.
        statement = f"SELECT * FROM jobs WHERE {where} ORDER BY {order} DESC, rowid DESC LIMIT ?"  # noqa: S608 - see above
        most = -1 if limit is None else min(limit, _MOST_ROWS)
        with self._lock, explained(self._path):
            rows: list[sqlite3.Row] = self._connection.execute(
                statement, storable((*values, most))
            ).fetchall()
            return [LedgerEntry.model_validate(read_row(row)) for row in rows]


def _update(connection: sqlite3.Connection, job: JobResponse, server: str) -> None:
    now = time.time()
    ended_at = now if job.status.is_terminal else None
    connection.execute(
        "UPDATE jobs SET status = ?, progress = ?, error = ?, updated_at = ?,"
        " ended_at = CASE status WHEN ? THEN ? ELSE coalesce(ended_at, ?) END"
        " WHERE server = ? AND job_id = ? AND (ended_at IS NULL OR status = ? OR ? = ?)",
        storable(
            (
                *(str(job.status), job.progress, job.error_message, now),
                *(FORGOTTEN, ended_at, ended_at),
                *(server, job.job_id),
                *(FORGOTTEN, str(job.status), _DELETED),
            )
        ),
    )


def _keep(connection: sqlite3.Connection, job_id: str, server: str) -> None:
    connection.execute(
        "UPDATE jobs SET kept_at = ? WHERE server = ? AND job_id = ?", storable((time.time(), server, job_id))
    )


def _conditions(
    server: str | None, status: str | None, task: str | None, since: datetime | None
) -> tuple[str, list[str | float]]:
    """An SQL condition, with the values for its placeholders; None means all."""
    wanted: dict[str, str | float | None] = {
        "server = ?": server,
        "status = ?": status,
        "task = ?": task,
        "submitted_at >= ?": None if since is None else since.timestamp(),
    }
    given = {clause: value for clause, value in wanted.items() if value is not None}
    return " AND ".join(given) or "1", list(given.values())


def _users_file() -> Path:
    return data_folder() / "jobs.sqlite"
