"""The user's SQLite files: private, safe with several processes, and with clear errors."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pydantic import ValidationError

from cl_client import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

_ValueT = TypeVar("_ValueT")

_BUSY_SECONDS: Final = 30.0
_PRIVATE: Final = 0o600
_PRIMARY: Final = 0xFF
"""Mask that leaves the primary result code of SQLite's extended result codes."""
_FULL: Final = "the disk is full; free some space"
_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: "the disk is full or failing; free some space, or check the disk",
    sqlite3.SQLITE_READONLY: "it is read-only; change its permissions, or copy it to a writable folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the permissions of its folder",
    sqlite3.SQLITE_PERM: "permission denied; check the permissions of its folder",
    sqlite3.SQLITE_BUSY: "it is locked by another process; try again later",
}
"""Remedies for errors where the file itself is intact."""
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_MOVE_DAMAGED: Final = "it is damaged; move it away, and a new one is created"


class StorageError(sqlite3.OperationalError):
    """A database cannot be read or written; the message names it and the remedy."""


class UnwritableError(ConfigurationError):
    """An intact database cannot be opened, because of the disk or its permissions."""


def open_database(path: Path, schema: str, version: int, upgrades: Sequence[str] = ()) -> sqlite3.Connection:
    """Open a database, or create it.

    Every statement is its own transaction, unless one was started with `transaction`. Any thread may use the
    connection, but only one at a time.

    Args:
        path: The file; its folder is created if it is missing.
        schema: The statements that create the tables.
        version: The version of the tables, above 0.
        upgrades: The statements that upgrade earlier versions, one text per step, the last step last.

    Returns:
        The connection.

    Raises:
        UnwritableError: The file cannot be written.
        ConfigurationError: The file is not a database, is damaged, or has an unknown version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(_PRIVATE)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as exc:
        is_full = isinstance(exc, OSError) and exc.errno == errno.ENOSPC
        remedy = _FULL if is_full else "check the permissions of its folder"
        raise UnwritableError(f"{path}: cannot be opened: {exc}; {remedy}") from exc
    try:
        _prepare(connection, path, schema, version, upgrades)
    except sqlite3.Error as exc:
        connection.close()
        kind = UnwritableError if _code(exc) in _REMEDIES else ConfigurationError
        raise kind(_problem(path, exc)) from exc
    except ConfigurationError:
        connection.close()
        raise
    return connection


def open_to_read(
    path: Path, schema: str, version: int, upgrades: Sequence[str] = ()
) -> tuple[sqlite3.Connection, bool]:
    """Open an existing database for reading, also on a read-only or full disk.

    Args:
        path: The file.
        schema: See `open_database`.
        version: See `open_database`.
        upgrades: See `open_database`.

    Returns:
        The connection, and whether it is writable.

    Raises:
        ConfigurationError: See `open_database`.
        UnwritableError: The file cannot be opened even for reading.
    """
    try:
        return open_database(path, schema, version, upgrades), True
    except UnwritableError:
        # First beside other writers; if SQLite cannot even create its own files there, as an immutable file.
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            with suppress(sqlite3.Error):
                return _opened_read_only(path, mode, version), False
        raise


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Turn errors of a database into errors that name the file and the remedy.

    Args:
        path: The file.

    Yields:
        Nothing.

    Raises:
        StorageError: The database cannot be read or written.
        IntegrityError: A constraint of the tables is violated.
    """
    try:
        yield
    except (sqlite3.IntegrityError, StorageError):
        raise
    except sqlite3.Error as exc:
        raise StorageError(_problem(path, exc)) from exc
    except ValidationError as exc:
        found = f"{exc.title} with {exc.errors(include_url=False)[0]['msg']}"
        raise StorageError(f"{path}: cannot be used: it contains a {found}; {_MOVE_DAMAGED}") from exc


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Combine all changes in the context into one: they are saved together or not at all.

    Args:
        connection: The database.

    Yields:
        Nothing; the changes are committed afterwards, or rolled back after an exception.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def storable(values: Iterable[_ValueT]) -> tuple[_ValueT | bytes, ...]:
    """Convert values to what SQLite can store: strings with invalid Unicode, as in some file names, to bytes.

    Args:
        values: The values.

    Returns:
        The converted values.
    """
    return tuple(_storable(value) for value in values)


def read_row(row: sqlite3.Row) -> dict[str, object]:
    """Convert a row to a dict, with strings that `storable` converted to bytes restored.

    Args:
        row: The row.

    Returns:
        The values by column.
    """
    values = cast("dict[str, object]", dict(row))
    return {name: os.fsdecode(it) if isinstance(it, bytes) else it for name, it in values.items()}


def _storable(value: _ValueT) -> _ValueT | bytes:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return os.fsencode(value)
    return value


def _code(exc: sqlite3.Error) -> int:
    """The primary result code of an error; 0 if it has none, for instance for a wrong statement."""
    return getattr(exc, "sqlite_errorcode", 0) & _PRIMARY


def _problem(path: Path, exc: sqlite3.Error) -> str:
    remedy = _REMEDIES.get(_code(exc))
    if _code(exc) in _DAMAGED:
        remedy = _MOVE_DAMAGED
    return f"{path}: cannot be used: {exc}{f'; {remedy}' if remedy else ''}"


def _opened_read_only(path: Path, mode: str, version: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.row_factory = sqlite3.Row
        _check_current(path, _version(connection), version)
    except (sqlite3.Error, ConfigurationError):
        connection.close()
        raise
    return connection


def _check_current(path: Path, found: int, version: int) -> None:
    if found != version:
        raise ConfigurationError(
            f"{path}: it has version {found}, this program needs {version}, and the file is read-only, so it "
            "cannot be upgraded"
        )


def _prepare(
    connection: sqlite3.Connection, path: Path, schema: str, version: int, upgrades: Sequence[str]
) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log this loses nothing when a process is killed.
    connection.execute("PRAGMA synchronous = NORMAL")
    with transaction(connection):
        found = _version(connection)
        missing = version - found
        if found and not 0 <= missing <= len(upgrades):
            remedy = "update cl-client" if missing < 0 else "move it away, and a new one is created"
            raise ConfigurationError(
                f"{path}: it has version {found}, and this program supports {version}: {remedy}"
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
