"""The manifest of a batch: every item and how far it is, in SQLite, so that nothing is done twice."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import portalocker
from pydantic import TypeAdapter

from cl_client_cli.batch.items import Item, ItemKey
from cl_client_cli.database import explained, open_database, open_to_read, read_row, storable, transaction
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from typing import Self

    from cl_client_cli.batch.items import Content, State
    from cl_client_cli.tasks.job_engine import Outcome

FILE_NAME: Final = "batch.sqlite"

_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    task TEXT NOT NULL,
    params TEXT NOT NULL,
    target TEXT NOT NULL UNIQUE,
    digest TEXT,
    size INTEGER,
    mtime_ns INTEGER,
    state TEXT NOT NULL DEFAULT 'waiting',
    job_id TEXT,
    error TEXT,
    transient INTEGER NOT NULL DEFAULT 0,
    summary TEXT,
    data TEXT,
    files TEXT NOT NULL DEFAULT '[]',
    ended_at REAL,
    UNIQUE (source, task, params)
);
CREATE INDEX items_by_content ON items (digest, task, params);
CREATE INDEX items_by_source ON items (source, id)
"""
_FILES: Final = TypeAdapter(list[str])
_PAGE: Final = 200
_ENDING_SECONDS: Final = 60.0
"""How long an earlier run may take to end."""


class BatchManifest:
    """The manifest of the batch in a folder, open. Places are kept relative to the folder, which may move.

    Its methods take a fraction of a millisecond. A process that dies at any point leaves it usable.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._path = folder / FILE_NAME

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Self:
        """Open the manifest of a folder.

        Raises:
            UsageError: There is none, and none is to be made.
            ConfigurationError: The file cannot be used.
        """
        path = folder / FILE_NAME
        if not create:
            _check_there(path)
        return cls(folder, open_database(path, _SCHEMA, _VERSION))

    @classmethod
    def open_to_read(cls, folder: Path) -> Self:
        """Open the manifest of a folder to look at it, also where nothing may be written.

        Raises:
            UsageError: There is none.
            ConfigurationError: The file cannot be used.
        """
        path = folder / FILE_NAME
        _check_there(path)
        return cls(folder, open_to_read(path, _SCHEMA, _VERSION)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    @contextmanager
    def running(self) -> Generator[None]:
        """Be the only command that runs this batch.

        Raises:
            UsageError: Another one does.
        """
        lock = self._lock(".lock")
        if not self._acquire(lock, seconds=0):
            raise UsageError(
                f"another process runs the batch in {str(self.folder)!r}; cl-client batch status shows it"
            )
        with lock:
            yield

    @contextmanager
    def working(self, on_wait: Callable[[], None]) -> Generator[None]:
        """Be the only process that works on this batch: one whose command was killed may still be ending.

        Args:
            on_wait: Is called before its end is waited for.

        Raises:
            UsageError: It does not end.
        """
        lock = self._lock(".working.lock")
        if not self._acquire(lock, seconds=0):
            on_wait()
            if not self._acquire(lock, seconds=_ENDING_SECONDS):
                raise UsageError(f"an earlier run of the batch in {str(self.folder)!r} does not end")
        with lock:
            yield

    def _lock(self, suffix: str) -> portalocker.Lock:
        return portalocker.Lock(self.folder / f".{FILE_NAME}{suffix}", mode="a")

    def _acquire(self, lock: portalocker.Lock, *, seconds: float) -> bool:
        try:
            lock.acquire(timeout=seconds)
        except portalocker.AlreadyLocked:
            return False
        except portalocker.LockException as exc:
            raise UsageError(f"{str(self.folder)!r} cannot be locked, use a local disk: {exc}") from exc
        return True

    def facts(self) -> dict[str, str]:
        """What is known of the batch as a whole."""
        rows = cast("list[sqlite3.Row]", self._execute("SELECT name, value FROM facts").fetchall())
        return {str(row["name"]): str(row["value"]) for row in map(read_row, rows)}

    def set_fact(self, name: str, value: str) -> None:
        """Note something of the batch as a whole."""
        self._execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", storable((name, value)))

    def known_items(self) -> dict[ItemKey, Path]:
        """Where the result of each item goes."""
        rows = self._execute("SELECT source, task, params, target FROM items")
        return {
            ItemKey(Path(str(row["source"])), str(row["task"]), str(row["params"])): self._placed(
                row["target"]
            )
            for row in map(read_row, cast("Iterator[sqlite3.Row]", rows))
        }

    def add(self, items: Mapping[ItemKey, Path]) -> int:
        """Add items that are not there yet; how many were.

        Args:
            items: Where the result of each goes.

        Raises:
            UsageError: Another command has just given one of these places away; nothing was added.
        """
        before = self._connection.total_changes
        try:
            with explained(self._path), transaction(self._connection):
                self._connection.executemany(
                    "INSERT INTO items (source, task, params, target) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (source, task, params) DO NOTHING",
                    (
                        storable((str(key.source), key.task, key.params, self._stored(target)))
                        for key, target in items.items()
                    ),
                )
        except sqlite3.IntegrityError:
            raise UsageError(
                f"another command adds to the batch in {str(self.folder)!r} at the same time: submit again"
            ) from None
        return self._connection.total_changes - before

    def submitting(self, item: Item, content: Content) -> None:
        """The server has an item's whole file: from now on it may have a job of it."""
        self._set(item, state="submitting", job_id=None, **_read(content))

    def submitted(self, item: Item, job_id: str) -> None:
        """The server has taken an item."""
        self._set(item, state="submitted", job_id=job_id)

    def refused(self, item: Item) -> None:
        """The server has answered that it makes no job of an item."""
        self._set(item, state="waiting")

    def reopened(self, item: Item) -> None:
        """An item that was done has to be done again."""
        self._set(item, state="waiting", digest=None)

    def touched(self, item: Item, content: Content) -> None:
        """An item's file was written, and its content is what it was."""
        self._set(item, **_read(content))

    def take_back_submitted(self) -> int:
        """Let what was submitted, and has not ended, be submitted again; how many items that were."""
        return self._execute(
            "UPDATE items SET state = 'waiting', job_id = NULL WHERE state IN ('submitting', 'submitted')"
        ).rowcount

    def ended(self, item: Item, outcome: Outcome, content: Content | None) -> None:
        """An item has come to its end; a job that goes on without it stays noted."""
        result = outcome.result
        self._set(
            item,
            state="failed" if result is None else "done",
            **_read(content),
            error=outcome.error,
            transient=int(outcome.transient),
            summary=None if result is None else result.summary,
            data=None if result is None else json.dumps(result.data),
            files=json.dumps([] if result is None else [self._stored(file) for file in result.files]),
            ended_at=time.time(),
        )

    def twin(self, item: Item, digest: str) -> Item | None:
        """Another item of the same content, task and parameters that is done."""
        where = "digest = ? AND task = ? AND params = ? AND state = 'done' AND id != ?"
        return next(iter(self._select(where, (digest, item.task, item.params, item.id), "id")), None)

    def pending(self, *, retry_failed: bool) -> Iterator[Item]:
        """The items that may be left to do, page by page: also those whose files or results have changed."""
        return (item for item in self.items() if item.is_pending(retry_failed=retry_failed))

    def items(self) -> Iterator[Item]:
        """All items in order, page by page."""
        last = 0
        while page := self._select("id > ?", (last,), f"id LIMIT {_PAGE}"):
            yield from page
            last = page[-1].id

    def sources(self) -> list[Path]:
        """All files, in order."""
        rows = self._execute("SELECT source FROM items GROUP BY source ORDER BY min(id)")
        return [Path(str(row["source"])) for row in map(read_row, cast("Iterator[sqlite3.Row]", rows))]

    def items_of(self, source: Path) -> list[Item]:
        """The items of a file."""
        return self._select("source = ?", (str(source),), "id")

    def counts(self) -> Counter[tuple[str, State]]:
        """How many items there are of each task in each state."""
        rows = self._execute("SELECT task, state, count(*) AS n FROM items GROUP BY task, state")
        counted = cast("Iterator[Mapping[str, str]]", rows)
        return Counter({(row["task"], cast("State", row["state"])): int(row["n"]) for row in counted})

    def failures(self) -> Iterator[Item]:
        """The items that failed."""
        return iter(self._select("state = 'failed'", (), "id"))

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        with explained(self._path):
            return self._connection.execute(statement, values)

    def _set(self, item: Item, **values: str | float | None) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        # The names are those of the calls above.
        statement = f"UPDATE items SET {assignments} WHERE id = ?"  # noqa: S608 - see above
        self._execute(statement, storable((*values.values(), item.id)))

    def _select(self, where: str, values: Sequence[str | float], order: str) -> list[Item]:
        # The conditions are those above; what comes from outside is bound to their question marks.
        statement = f"SELECT * FROM items WHERE {where} ORDER BY {order}"  # noqa: S608 - see above
        rows = cast("list[sqlite3.Row]", self._execute(statement, storable(values)).fetchall())
        with explained(self._path):
            return [self._item(read_row(row)) for row in rows]

    def _item(self, row: Mapping[str, object]) -> Item:
        files = _FILES.validate_json(str(row["files"]))
        return Item.model_validate(
            {**row, "target": self._placed(row["target"]), "files": [*map(self._placed, files)]}
        )

    def _stored(self, place: Path) -> str:
        return str(place.relative_to(self.folder))

    def _placed(self, stored: object) -> Path:
        return self.folder / str(stored)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{str(path.parent)!r}: there is no batch in this folder ({path.name} is missing)")


def _read(content: Content | None) -> dict[str, str | int | None]:
    """The columns that tell what was read of a file."""
    if content is None:
        return {"digest": None, "size": None, "mtime_ns": None}
    return {"digest": content.digest, "size": content.size, "mtime_ns": content.mtime_ns}
