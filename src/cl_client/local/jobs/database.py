"""A SQLite connection in a thread of its own, with one transaction for all calls that wait.

A commit costs more than what most calls change, and so does waking a thread. So the calls that arrive while
another one runs share the next transaction and the next wake-up of the loop; still each of them returns after
its commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ResultT = TypeVar("ResultT")

_BUSY_SECONDS: Final = 0.5

_Settle: TypeAlias = "Callable[[], None]"
"""Gives a call its result; called on the event loop."""
_Fail: TypeAlias = "Callable[[Exception], None]"
"""Gives a call an error; called on the event loop."""
_Call: TypeAlias = "tuple[Callable[[sqlite3.Connection], _Settle], _Fail]"


class Database:
    """Open it with `open`, and use it on that event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread: threading.Thread | None = None

    @classmethod
    async def open(cls, path: Path, prepare: str) -> Database:
        """Open the database.

        Args:
            path: The file; created if it does not exist.
            prepare: SQL that is run first.

        Returns:
            The database, to be closed with `close`.

        Raises:
            sqlite3.Error: SQLite cannot open the file; nothing is left open.
        """
        database = cls()
        opened: asyncio.Future[None] = database._loop.create_future()
        database._thread = threading.Thread(
            target=database._serve, args=(path, prepare, opened), name="jobs-database", daemon=True
        )
        database._thread.start()
        try:
            await asyncio.shield(opened)
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Finish the calls that wait, and close the file. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._calls.put(None)
            await asyncio.shield(self._ended)
            thread.join()

    async def run(self, function: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Call a function in the thread, in a transaction, and return after the commit.

        Args:
            function: Called with the connection. If it raises an exception, its changes are undone.

        Returns:
            The result of the function.

        Raises:
            sqlite3.ProgrammingError: The database is closed.
        """
        if self._thread is None:
            raise sqlite3.ProgrammingError("the database is closed")
        result: asyncio.Future[ResultT] = self._loop.create_future()

        def call(connection: sqlite3.Connection) -> _Settle:
            return partial(_settle, result, function(connection))

        self._calls.put((call, partial(_fail, result)))
        return await result

    # Called in the thread.

    def _serve(self, path: Path, prepare: str, opened: asyncio.Future[None]) -> None:
        try:
            with contextlib.closing(
                sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
            ) as connection:
                connection.executescript(prepare)
                self._tell([partial(_settle, opened, None)])
                self._take_calls(connection)
        except Exception as exc:  # noqa: BLE001 - raised by `open`
            self._tell([partial(_fail, opened, exc)])
        finally:
            self._tell([partial(_settle, self._ended, None)])

    def _take_calls(self, connection: sqlite3.Connection) -> None:
        open_for_calls = True
        while open_for_calls and (first := self._calls.get()) is not None:
            calls = [first]
            while open_for_calls and not self._calls.empty():
                if (more := self._calls.get()) is None:
                    open_for_calls = False
                else:
                    calls.append(more)
            self._tell(_in_one_transaction(connection, calls))

    def _tell(self, results: list[_Settle]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed without `close`
            self._loop.call_soon_threadsafe(_do_all, results)


def _in_one_transaction(connection: sqlite3.Connection, calls: list[_Call]) -> list[_Settle]:
    """Run all calls and commit; return how each of them is to be settled."""
    try:
        connection.execute("BEGIN")
        results = [_by_itself(connection, *call) for call in calls]
        connection.execute("COMMIT")
    except sqlite3.Error as exc:  # a full disk, for instance: nothing was committed
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        return [partial(fail, exc) for _, fail in calls]
    return results


def _by_itself(
    connection: sqlite3.Connection, call: Callable[[sqlite3.Connection], _Settle], fail: _Fail
) -> _Settle:
    """Run one call; if it fails, undo its changes, and none of the others."""
    connection.execute("SAVEPOINT call")
    try:
        settle = call(connection)
    except Exception as exc:
        if isinstance(exc, sqlite3.Error) and not connection.in_transaction:
            raise  # SQLite has undone all calls, as the disk is full
        connection.execute("ROLLBACK TO call")
        settle = partial(fail, exc)
    connection.execute("RELEASE call")
    return settle


def _do_all(results: list[_Settle]) -> None:
    for settle in results:
        settle()


def _settle(result: asyncio.Future[ResultT], value: ResultT) -> None:
    if not result.done():  # its call was cancelled
        result.set_result(value)


def _fail(result: asyncio.Future[ResultT], error: Exception) -> None:
    if not result.done():
        result.set_exception(error)
