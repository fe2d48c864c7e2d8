"""SQLite files of the user: private, safe with several processes, and clear about what is wrong with them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, cast

from cl_client import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_SECONDS: Final = 30.0
_PRIVATE: Final = 0o600


def open_database(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open a database, or make it.

    Every statement is a transaction of its own, unless one is begun. The connection may be used by any
    thread, by one at a time.

    Args:
        path: The file; its folder is made if it is missing.
        schema: The statements that make the tables.
        version: That of the tables, above 0.

    Raises:
        ConfigurationError: The file is no database, is damaged, is of a newer version, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(_PRIVATE)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as exc:
        raise ConfigurationError(f"{path}: cannot be opened: {exc}; check that you may write there") from exc
    try:
        _prepare(connection, path, schema, version)
    except sqlite3.Error as exc:
        connection.close()
        raise ConfigurationError(
            f"{path}: cannot be used: {exc}; if it is damaged, move it away, and a new one is made"
        ) from exc
    except ConfigurationError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, schema: str, version: int) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log this loses nothing when a process dies, whatever kills it.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection)
        if found == 0:
            for statement in filter(str.strip, schema.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version:d}")
        elif found != version:
            raise ConfigurationError(
                f"{path}: it is of version {found}, and this program knows {version}: update cl-client"
            )
    finally:
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        row = cast("tuple[int]", cursor.fetchone())
    return row[0]
