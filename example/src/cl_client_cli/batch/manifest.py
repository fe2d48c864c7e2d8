"""The manifest of a batch: all items and their states, in SQLite, so that nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from pydantic import TypeAdapter

from cl_client_cli.batch.items import Item, ItemKey
from cl_client_cli.database import explained, open_database, open_to_read, read_row, storable, transaction
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from cl_client_cli.batch.items import Content, State
    from cl_client_cli.tasks.job_outcome import Outcome

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
_UNENDED: Final[tuple[State, ...]] = ("waiting", "submitting", "submitted")


class BatchManifest:
    """The open manifest of the batch in a folder. Paths are relative to the folder, which may be moved.

    Its methods take less than a millisecond. It stays usable if a process is killed at any point.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._path = folder / FILE_NAME

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Self:
        """Open the manifest of a folder.

        Args:
            folder: The folder of the batch.
            create: Create the manifest if it does not exist.

        Returns:
            The manifest.

        Raises:
            UsageError: The manifest does not exist, and `create` is not set.
            ConfigurationError: The file cannot be used.
        """
        path = folder / FILE_NAME
        if not create:
            _check_there(path)
        return cls(folder, open_database(path, _SCHEMA, _VERSION))

    @classmethod
    def open_to_read(cls, folder: Path) -> Self:
        """Open the manifest of a folder for reading, also in a read-only folder.

        Args:
            folder: The folder of the batch.

        Returns:
            The manifest.

        Raises:
            UsageError: The manifest does not exist.
            ConfigurationError: The file cannot be used.
        """
        path = folder / FILE_NAME
        _check_there(path)
        return cls(folder, open_to_read(path, _SCHEMA, _VERSION)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def facts(self) -> dict[str, str]:
        """Read the facts about the batch as a whole.

        Returns:
            The values by name.
        """
        rows = cast("list[sqlite3.Row]", self._execute("SELECT name, value FROM facts").fetchall())
        return {str(row["name"]): str(row["value"]) for row in map(read_row, rows)}

    def set_fact(self, name: str, value: str) -> None:
        """Store a fact about the batch as a whole.

        Args:
            name: Its name.
            value: Its value.
        """
        self._execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", storable((name, value)))

    def known_items(self) -> dict[ItemKey, Path]:
        """Read the items and the paths of their results.

        Returns:
            The paths by item.
        """
        rows = self._execute("SELECT source, task, params, target FROM items")
        return {
            ItemKey(Path(str(row["source"])), str(row["task"]), str(row["params"])): self._placed(
                row["target"]
            )
            for row in map(read_row, cast("Iterator[sqlite3.Row]", rows))
        }

    def add(self, items: Mapping[ItemKey, Path]) -> int:
        """Add items that do not exist yet.

        Args:
            items: The path of the result for each item.

        Returns:
            How many items were added.

        Raises:
            UsageError: Another command has just taken one of these paths; nothing was added.
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
                f"another command is adding to the batch in {str(self.folder)!r} right now: submit again"
            ) from None
        return self._connection.total_changes - before

    def submitting(self, item: Item, content: Content) -> None:
        """Record that an item's whole file was sent: from now on the server may have a job for it.

        Args:
            item: The item.
            content: The content of its file.
        """
        self._set(item, state="submitting", job_id=None, **_read(content))

    def submitted(self, item: Item, job_id: str) -> None:
        """Record that the server has accepted an item.

        Args:
            item: The item.
            job_id: The ID of the job.
        """
        self._set(item, state="submitted", job_id=job_id)

    def refused(self, item: Item) -> None:
        """Record that the server has rejected an item and created no job.

        Args:
            item: The item.
        """
        self._set(item, state="waiting")

    def reopened(self, item: Item) -> None:
        """Record that a finished item has to be processed again.

        Args:
            item: The item.
        """
        self._set(item, state="waiting", digest=None)

    def touched(self, item: Item, content: Content) -> None:
        """Record that an item's file was modified, with the same content as before.

        Args:
            item: The item.
            content: The content of its file.
        """
        self._set(item, **_read(content))

    def take_back_submitted(self) -> int:
        """Reset items that were submitted and have not ended, so that they are submitted again.

        Returns:
            How many items were reset.
        """
        return self._execute(
            "UPDATE items SET state = 'waiting', job_id = NULL WHERE state IN ('submitting', 'submitted')"
        ).rowcount

    def ended(self, item: Item, outcome: Outcome, content: Content | None) -> None:
        """Record the end of an item; a job that is still running stays recorded.

        Args:
            item: The item.
            outcome: Its outcome.
            content: The content of its file; None if it could not be read.
        """
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
        """Find another finished item with the same content, task and parameters.

        Args:
            item: The item.
            digest: The digest of its content.

        Returns:
            The other item; None if there is none.
        """
        where = "digest = ? AND task = ? AND params = ? AND state = 'done' AND id != ?"
        return next(iter(self._select(where, (digest, item.task, item.params, item.id), "id")), None)

    def pending(self, *, retry_failed: bool) -> Iterator[Item]:
        """The items that may have work left, page by page, including those with changed files or results.

        Args:
            retry_failed: Include permanent failures.

        Returns:
            The items, in order.
        """
        return (item for item in self.items() if item.is_pending(retry_failed=retry_failed))

    async def left(self, *, retry_failed: bool) -> Counter[State]:
        """Count the items that may have work left, by state, without blocking the loop for long.

        Args:
            retry_failed: Include permanent failures.

        Returns:
            The counts.
        """
        counts = self._states()
        found: Counter[State] = Counter({state: counts[state] for state in _UNENDED})
        if found.total() == counts.total():
            return found  # of a new batch, no item has to be read
        last = 0
        while page := self._select("state IN ('done', 'failed') AND id > ?", (last,), f"id LIMIT {_PAGE}"):
            found.update(item.state for item in page if item.is_pending(retry_failed=retry_failed))
            last = page[-1].id
            await asyncio.sleep(0)  # for Ctrl-C: there may be a hundred thousand items
        return found

    def items(self) -> Iterator[Item]:
        """All items in order, read page by page.

        Yields:
            Each item.
        """
        last = 0
        while page := self._select("id > ?", (last,), f"id LIMIT {_PAGE}"):
            yield from page
            last = page[-1].id

    def sources(self) -> list[Path]:
        """The input files of all items.

        Returns:
            The files, in order.
        """
        rows = self._execute("SELECT source FROM items GROUP BY source ORDER BY min(id)")
        return [Path(str(row["source"])) for row in map(read_row, cast("Iterator[sqlite3.Row]", rows))]

    def items_of(self, source: Path) -> list[Item]:
        """The items of a file.

        Args:
            source: The input file.

        Returns:
            The items, in order.
        """
        return self._select("source = ?", (str(source),), "id")

    def counts(self) -> Counter[tuple[str, State]]:
        """Count the items by task and state.

        Returns:
            The counts.
        """
        rows = self._execute("SELECT task, state, count(*) AS n FROM items GROUP BY task, state")
        counted = cast("Iterator[Mapping[str, str]]", rows)
        return Counter({(row["task"], cast("State", row["state"])): int(row["n"]) for row in counted})

    def _states(self) -> Counter[State]:
        counts: Counter[State] = Counter()
        for (_, state), count in self.counts().items():
            counts[state] += count
        return counts

    def failures(self) -> Iterator[Item]:
        """The items that failed.

        Returns:
            The items, in order.
        """
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
        # The conditions are constants; values are bound to their placeholders.
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
        raise UsageError(f"{str(path.parent)!r}: no batch in this folder ({path.name} not found)")


def _read(content: Content | None) -> dict[str, str | int | None]:
    """The columns for a file's content."""
    if content is None:
        return {"digest": None, "size": None, "mtime_ns": None}
    return {"digest": content.digest, "size": content.size, "mtime_ns": content.mtime_ns}
