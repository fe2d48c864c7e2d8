"""The manifest of a batch: every item and how far it is, in SQLite, so that nothing is done twice."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeAlias, cast

import portalocker
from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

from cl_client_cli.database import open_database, read_row, storable, transaction
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from typing import Self

    from cl_client_cli.tasks.job_engine import Outcome

FILE_NAME: Final = "batch.sqlite"

State: TypeAlias = Literal["waiting", "submitting", "submitted", "done", "failed"]

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    task TEXT NOT NULL,
    params TEXT NOT NULL,
    target TEXT NOT NULL UNIQUE,
    digest TEXT,
    state TEXT NOT NULL DEFAULT 'waiting',
    job_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    transient INTEGER NOT NULL DEFAULT 0,
    summary TEXT,
    data TEXT,
    ended_at REAL,
    UNIQUE (source, task, params)
);
CREATE INDEX items_by_content ON items (digest, task, params);
CREATE INDEX items_by_source ON items (source, id)
"""
_PAGE: Final = 200
_ENDING_SECONDS: Final = 60.0


def _from_json(value: object) -> object:
    return cast("object", json.loads(value)) if isinstance(value, str) else value


class ItemKey(NamedTuple):
    """What makes an item: the same is never there twice.

    Attributes:
        source: The file.
        task: The task.
        params: Its parameters, as JSON text.
    """

    source: Path
    task: str
    params: str


class Item(BaseModel):
    """One task on one file.

    Attributes:
        id: Its number.
        source: The file.
        task: The task.
        params: Its parameters, as JSON text.
        target: Where the result goes.
        digest: SHA-256 of the file's content, once it was read.
        state: How far it is. ``submitting`` from when its file was sent until the server has answered.
        job_id: The job, once it was submitted.
        attempts: How often it was submitted.
        error: Why it failed.
        transient: Whether it may well succeed at another time.
        summary: The result in a few words.
        data: The result for programs.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    source: Path
    task: str
    params: str
    target: Path
    digest: str | None
    state: State
    job_id: str | None
    attempts: int
    error: str | None
    transient: bool
    summary: str | None
    data: Annotated[dict[str, JsonValue] | None, BeforeValidator(_from_json)]


class BatchManifest:
    """The manifest of the batch in a folder, open.

    Its methods take a fraction of a millisecond. A process that dies at any point leaves it usable.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Self:
        """Open the manifest of a folder.

        Raises:
            UsageError: There is none, and none is to be made.
            ConfigurationError: The file cannot be used.
        """
        path = folder / FILE_NAME
        if not create and not path.is_file():
            raise UsageError(f"{str(folder)!r}: there is no batch in this folder ({FILE_NAME} is missing)")
        return cls(folder, open_database(path, _SCHEMA, _VERSION))

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
        rows = cast("list[sqlite3.Row]", self._connection.execute("SELECT name, value FROM facts").fetchall())
        return {str(row["name"]): str(row["value"]) for row in map(read_row, rows)}

    def set_fact(self, name: str, value: str) -> None:
        """Note something of the batch as a whole."""
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", storable((name, value)))

    def known_items(self) -> dict[ItemKey, Path]:
        """Where the result of each item goes."""
        rows = self._connection.execute("SELECT source, task, params, target FROM items")
        return {
            ItemKey(Path(str(row["source"])), str(row["task"]), str(row["params"])): Path(str(row["target"]))
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
            with transaction(self._connection):
                self._connection.executemany(
                    "INSERT INTO items (source, task, params, target) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (source, task, params) DO NOTHING",
                    (
                        storable((str(key.source), key.task, key.params, str(target)))
                        for key, target in items.items()
                    ),
                )
        except sqlite3.IntegrityError:
            raise UsageError(
                f"another command adds to the batch in {str(self.folder)!r} at the same time: submit again"
            ) from None
        return self._connection.total_changes - before

    def submitting(self, item: Item, digest: str) -> None:
        """The server has an item's whole file: from now on it may have a job of it."""
        self._set(item, state="submitting", digest=digest, attempts=item.attempts + 1, job_id=None)

    def submitted(self, item: Item, job_id: str) -> None:
        """The server has taken an item."""
        self._set(item, state="submitted", job_id=job_id)

    def take_back_submitted(self) -> int:
        """Let what was submitted, and has not ended, be submitted again; how many items that were."""
        return self._connection.execute(
            "UPDATE items SET state = 'waiting', job_id = NULL WHERE state IN ('submitting', 'submitted')"
        ).rowcount

    def ended(self, item: Item, outcome: Outcome, digest: str | None) -> None:
        """An item has come to its end."""
        result = outcome.result
        self._set(
            item,
            state="failed" if result is None else "done",
            digest=digest,
            job_id=outcome.job.job_id if outcome.job else item.job_id,
            error=outcome.error,
            transient=int(outcome.transient),
            summary=None if result is None else result.summary,
            data=None if result is None else json.dumps(result.data),
            ended_at=time.time(),
        )

    def twin(self, item: Item, digest: str) -> Item | None:
        """Another item of the same content, task and parameters that is done."""
        where = "digest = ? AND task = ? AND params = ? AND state = 'done' AND id != ?"
        return next(iter(self._select(where, (digest, item.task, item.params, item.id), "id")), None)

    def pending(self, *, retry_failed: bool) -> Iterator[Item]:
        """The items that are left to do, page by page: also those whose results have gone."""
        for item in self.items():
            if item.state == "failed":
                if retry_failed or item.transient:
                    yield item
            elif item.state != "done" or not item.target.exists():
                yield item

    def items(self) -> Iterator[Item]:
        """All items in order, page by page."""
        last = 0
        while page := self._select("id > ?", (last,), f"id LIMIT {_PAGE}"):
            yield from page
            last = page[-1].id

    def sources(self) -> list[Path]:
        """All files, in order."""
        rows = self._connection.execute("SELECT source FROM items GROUP BY source ORDER BY min(id)")
        return [Path(str(row["source"])) for row in map(read_row, cast("Iterator[sqlite3.Row]", rows))]

    def items_of(self, source: Path) -> list[Item]:
        """The items of a file."""
        return self._select("source = ?", (str(source),), "id")

    def counts(self) -> Counter[tuple[str, State]]:
        """How many items there are of each task in each state."""
        rows = self._connection.execute("SELECT task, state, count(*) AS n FROM items GROUP BY task, state")
        counted = cast("Iterator[Mapping[str, str]]", rows)
        return Counter({(row["task"], cast("State", row["state"])): int(row["n"]) for row in counted})

    def failures(self) -> Iterator[Item]:
        """The items that failed."""
        return iter(self._select("state = 'failed'", (), "id"))

    def _set(self, item: Item, **values: str | float | None) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        # The names are those of the calls above.
        statement = f"UPDATE items SET {assignments} WHERE id = ?"  # noqa: S608 - see above
        self._connection.execute(statement, storable((*values.values(), item.id)))

    def _select(self, where: str, values: Sequence[str | float], order: str) -> list[Item]:
        # The conditions are those above; what comes from outside is bound to their question marks.
        statement = f"SELECT * FROM items WHERE {where} ORDER BY {order}"  # noqa: S608 - see above
        rows = cast("list[sqlite3.Row]", self._connection.execute(statement, storable(values)).fetchall())
        return [Item.model_validate(read_row(row)) for row in rows]
