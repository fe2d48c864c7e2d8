"""The database of jobs: calls that wait share a transaction, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from cl_client.local.jobs.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER UNIQUE CHECK (number >= 0));"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "numbers.sqlite3", _SCHEMA)
    yield opened
    await opened.close()


def _insert(connection: sqlite3.Connection, *numbers: int) -> int:
    for number in numbers:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
    return sum(numbers)


def _all(connection: sqlite3.Connection) -> list[tuple[int]]:
    return connection.execute("SELECT number FROM numbers ORDER BY number").fetchall()


def _threads() -> set[threading.Thread]:
    """The threads of all databases: other tests' servers may still run."""
    return {thread for thread in threading.enumerate() if thread.name == "jobs-database"}


class _Busy:
    """Keeps the thread busy, so that later calls wait together."""

    def __init__(self, database: Database) -> None:
        self._begun = asyncio.Event()
        self._go_on = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._call = asyncio.ensure_future(database.run(self._wait))

    @classmethod
    async def begun(cls, database: Database) -> _Busy:
        busy = cls(database)
        await busy._begun.wait()
        return busy

    def _wait(self, _connection: sqlite3.Connection) -> bool:
        self._loop.call_soon_threadsafe(self._begun.set)
        return self._go_on.wait(30)

    async def end(self) -> None:
        await asyncio.sleep(0)  # every call that was made is in the queue
        self._go_on.set()
        assert await self._call


async def test_calls_that_wait_share_a_transaction(database: Database) -> None:
    busy = await _Busy.begun(database)
    changes: list[int] = []

    def insert(connection: sqlite3.Connection, number: int) -> None:
        _insert(connection, number)
        changes.append(connection.total_changes)
        assert connection.in_transaction

    calls = [asyncio.ensure_future(database.run(lambda c, n=number: insert(c, n))) for number in range(50)]
    await busy.end()
    await asyncio.gather(*calls)
    assert changes == list(range(1, 51))
    assert await database.run(_all) == [(number,) for number in range(50)]


async def test_a_call_that_fails_undoes_its_own_changes_only(database: Database) -> None:
    busy = await _Busy.begun(database)
    before = asyncio.ensure_future(database.run(lambda connection: _insert(connection, 1)))
    failing = asyncio.ensure_future(database.run(lambda connection: _insert(connection, 2, 3, -1)))
    after = asyncio.ensure_future(database.run(lambda connection: _insert(connection, 4)))
    await busy.end()
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        await failing
    assert (await before, await after) == (1, 4)
    assert await database.run(_all) == [(1,), (4,)]


async def test_errors_of_other_kinds_reach_the_caller(database: Database) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        _insert(connection, 1)
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        await database.run(fail)
    assert await database.run(_all) == []


async def test_no_call_succeeds_without_its_commit(database: Database) -> None:
    busy = await _Busy.begun(database)
    lost = asyncio.ensure_future(database.run(lambda connection: _insert(connection, 1)))
    # SQLite itself ends the transaction when the disk is full.
    full = asyncio.ensure_future(database.run(lambda connection: connection.execute("ROLLBACK").rowcount))
    await busy.end()
    for call in (lost, full):
        with pytest.raises(sqlite3.OperationalError, match="savepoint"):
            await call
    assert await database.run(_all) == []


async def test_a_full_disk_is_named(database: Database) -> None:
    await database.run(lambda connection: connection.execute("PRAGMA max_page_count = 4").fetchall())
    busy = await _Busy.begun(database)
    small = asyncio.ensure_future(database.run(lambda connection: _insert(connection, 1)))
    large = asyncio.ensure_future(database.run(lambda connection: _insert(connection, *range(2, 20_000))))
    await busy.end()
    for call in (small, large):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await call
    assert await database.run(_all) == []


async def test_a_result_is_there_only_after_the_commit(database: Database, tmp_path: Path) -> None:
    await database.run(lambda connection: _insert(connection, 7))
    with sqlite3.connect(tmp_path / "numbers.sqlite3") as other:
        assert other.execute("SELECT number FROM numbers").fetchall() == [(7,)]


async def test_a_cancelled_call_is_made_and_leaves_the_others_alone(database: Database) -> None:
    busy = await _Busy.begun(database)
    cancelled = asyncio.ensure_future(database.run(lambda connection: _insert(connection, 1)))
    other = asyncio.ensure_future(database.run(lambda connection: _insert(connection, 2)))
    await asyncio.sleep(0)
    cancelled.cancel()
    await busy.end()
    assert await other == 2
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await database.run(_all) == [(1,), (2,)]


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    before = _threads()
    database = await Database.open(tmp_path / "numbers.sqlite3", _SCHEMA)
    calls = [asyncio.ensure_future(database.run(lambda c, n=number: _insert(c, n))) for number in range(5)]
    await asyncio.sleep(0)
    await database.close()
    await database.close()
    assert await asyncio.gather(*calls) == list(range(5))
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        await database.run(_all)
    assert _threads() == before


async def test_a_file_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = _threads()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await Database.open(tmp_path / "missing" / "numbers.sqlite3", _SCHEMA)
    assert _threads() == before
