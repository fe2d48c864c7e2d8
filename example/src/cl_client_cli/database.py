"""SQLite files of the user: private, safe with several processes, and clear about what is wrong with them."""

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
"""The bits of SQLite's extended error codes that tell the kind."""
_FULL: Final = "the disk is full; free some space"
_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: "the disk is full, or fails; free some space, or look at the disk",
    sqlite3.SQLITE_READONLY: "it may not be written; allow it, or copy it to where you may write",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that you may read and write in its folder",
    sqlite3.SQLITE_PERM: "it may not be opened; check that you may read and write in its folder",
    sqlite3.SQLITE_BUSY: "another process is writing for long; try again",
}
"""What helps where nothing is wrong with the file itself."""
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_MOVE_DAMAGED: Final = "it is damaged; move it away, and a new one is made"


class StorageError(sqlite3.OperationalError):
    """A database cannot be read or written; the words say which, and what helps."""


class UnwritableError(ConfigurationError):
    """A database cannot be opened, and nothing is wrong with it: it is the disk, or the rights."""


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
        UnwritableError: The file cannot be written.
        ConfigurationError: It is no database, is damaged, or of an unknown version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(_PRIVATE)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as exc:
        is_full = isinstance(exc, OSError) and exc.errno == errno.ENOSPC
        remedy = _FULL if is_full else "check that you may write there"
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
    """Open a database that is there to look at it, also where nothing may be written, or no more can be.

    Returns:
        The connection, and whether it can be written to.

    Raises:
        ConfigurationError: See `open_database`.
    """
    try:
        return open_database(path, schema, version, upgrades), True
    except UnwritableError:
        # Beside what others write; or, where even SQLite's own files cannot be made, as nobody writes.
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            with suppress(sqlite3.Error):
                return _opened_read_only(path, mode, version), False
        raise


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Say of what goes wrong with a database which it is, and what helps.

    Raises:
        StorageError: It cannot be read or written.
    """
    try:
        yield
    except (sqlite3.IntegrityError, StorageError):
        raise
    except sqlite3.Error as exc:
        raise StorageError(_problem(path, exc)) from exc
    except ValidationError as exc:
        found = f"{exc.title} with {exc.errors(include_url=False)[0]['msg']}"
        raise StorageError(f"{path}: cannot be used: it holds a {found}; {_MOVE_DAMAGED}") from exc


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


def _code(exc: sqlite3.Error) -> int:
    """The kind of an error; 0 where it is not of the file, but for instance of a statement."""
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
            f"{path}: it is of version {found}, this program knows {version}, and it may not be written"
        )


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
