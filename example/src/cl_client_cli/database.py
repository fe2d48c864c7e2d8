"""SQLite files of the user: private, safe with several processes, and clear about what is wrong with them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, TypeVar, cast

from cl_client import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

_ValueT = TypeVar("_ValueT")

_BUSY_SECONDS: Final = 30.0
_PRIVATE: Final = 0o600


def open_database(path: Path, schema: str, version: int, upgrades: Sequence[str] = ()) -> sqlite3.Connection:
    """Open a database, or make it.

    Every statement is a transaction of its own, unless one is begun. The connection may be used by any
    thread, by one at a time.

    Args:
        path: The file; its folder is made if it is missing.
        schema: The statements that make the tables.
        version: That of the tables, above 0.
        upgrades: The statements of the steps from earlier versions to this one, the last step last.

    Raises:
        ConfigurationError: The file is no database, is damaged, of an unknown version, or cannot be written.
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
        _prepare(connection, path, schema, version, upgrades)
    except sqlite3.Error as exc:
        connection.close()
        raise ConfigurationError(
            f"{path}: cannot be used: {exc}; if it is damaged, move it away, and a new one is made"
        ) from exc
    except ConfigurationError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Make what is written meanwhile one change, which is there as a whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def storable(values: Iterable[_ValueT]) -> tuple[_ValueT | bytes, ...]:
    """Values as SQLite can keep them: texts that are no Unicode, such as old file names, as bytes."""
    return tuple(_storable(value) for value in values)


def read_row(row: sqlite3.Row) -> dict[str, object]:
    """A row by its columns' names, with the texts that `storable` made bytes."""
    values = cast("dict[str, object]", dict(row))
    return {name: os.fsdecode(it) if isinstance(it, bytes) else it for name, it in values.items()}


def _storable(value: _ValueT) -> _ValueT | bytes:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return os.fsencode(value)
    return value


def _prepare(
    connection: sqlite3.Connection, path: Path, schema: str, version: int, upgrades: Sequence[str]
) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log this loses nothing when a process dies, whatever kills it.
    connection.execute("PRAGMA synchronous = NORMAL")
    with transaction(connection):
        found = _version(connection)
        missing = version - found
        if found and not 0 <= missing <= len(upgrades):
            remedy = "update cl-client" if missing < 0 else "move it away, and a new one is made"
            raise ConfigurationError(
                f"{path}: it is of version {found}, and this program knows {version}: {remedy}"
            )
        scripts = upgrades[len(upgrades) - missing :] if found else (schema,)
        for statement in filter(str.strip, ";".join(scripts).split(";")):
            connection.execute(statement)
        if scripts:
            connection.execute(f"PRAGMA user_version = {version:d}")


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        row = cast("tuple[int]", cursor.fetchone())
    return row[0]
