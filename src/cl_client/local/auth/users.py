"""The users of a local server, in SQLite."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import aiosqlite
from pydantic import BaseModel, ConfigDict, Json, TypeAdapter, WithJsonSchema

from cl_client._core.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# AUTOINCREMENT, so that no user gets the id of a deleted user, whose tokens may still be valid.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    is_admin INTEGER NOT NULL,
    is_active INTEGER NOT NULL,
    permissions TEXT NOT NULL,
    created_at TEXT NOT NULL
);
"""

_STRINGS = TypeAdapter(list[str])


class UsernameTakenError(Exception):
    """A user with this name exists."""


class User(BaseModel):
    """A user, with the field names and order of the wire. `created_at` is UTC, without a time zone."""

    model_config = ConfigDict(frozen=True)

    username: str
    is_admin: bool
    is_active: bool
    id: int
    # "date-time" of a schema is RFC 3339's, which demands a zone.
    created_at: Annotated[datetime, WithJsonSchema({"type": "string"})]
    permissions: Json[list[str]]


class Account(User):
    """A user with the hash of the password."""

    password_hash: str


class UserStore:
    """The table of users. Every method commits before it returns. Open it with `open`."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: Path) -> UserStore:
        """Open the store. Only the owner can read the file.

        Args:
            path: The database file; created if it does not exist.

        Returns:
            The store, to be closed with `close`.
        """
        await in_thread(_make_private_file, path)
        connection = await aiosqlite.connect(path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            await connection.execute(_SCHEMA)
        except BaseException:
            await connection.close()
            raise
        return cls(connection)

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()

    async def is_empty(self) -> bool:
        """Tell whether the table has no users.

        Returns:
            True before the first user is added.
        """
        return not await self.page(0, 1)

    async def add(
        self,
        username: str,
        password_hash: str,
        permissions: Sequence[str],
        *,
        is_admin: bool,
        is_active: bool,
    ) -> User:
        """Add a user.

        Args:
            username: The name; must be new.
            password_hash: The hash from `Passwords.hash`.
            permissions: Names of the user's permissions.
            is_admin: Whether the user has all permissions.
            is_active: Whether the user can log in and use tokens.

        Returns:
            The stored user.

        Raises:
            UsernameTakenError: A user with this name exists.
        """
        created_at = datetime.now(UTC).replace(tzinfo=None).isoformat()
        try:
            users = await self._users(
                "INSERT INTO users (username, password_hash, permissions, is_admin, is_active, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
                (username, password_hash, _dump(permissions), is_admin, is_active, created_at),
            )
        except sqlite3.IntegrityError:
            raise UsernameTakenError(username) from None
        return users[0]

    async def get(self, user_id: int) -> User | None:
        """Read a user by id.

        Args:
            user_id: The user's id.

        Returns:
            The user; None if it was not found.
        """
        users = await self._users("SELECT * FROM users WHERE id = ?", (user_id,))
        return next(iter(users), None)

    async def account(self, username: str) -> Account | None:
        """Read a user by name, with the password hash.

        Args:
            username: The user's name.

        Returns:
            The user; None if it was not found.
        """
        rows = await self._connection.execute_fetchall("SELECT * FROM users WHERE username = ?", (username,))
        return next((Account.model_validate(dict(row)) for row in rows), None)

    async def page(self, skip: int, limit: int) -> list[User]:
        """Read a page of users, the oldest first.

        Args:
            skip: How many users to skip.
            limit: How many users to return at most.

        Returns:
            The users of the page.
        """
        return await self._users("SELECT * FROM users ORDER BY id LIMIT ? OFFSET ?", (limit, skip))

    async def update(
        self,
        user_id: int,
        *,
        password_hash: str | None = None,
        permissions: Sequence[str] | None = None,
        is_admin: bool | None = None,
        is_active: bool | None = None,
    ) -> User | None:
        """Change a user. None keeps a value.

        Args:
            user_id: The user's id.
            password_hash: The new hash from `Passwords.hash`.
            permissions: Names of all permissions of the user.
            is_admin: Whether the user has all permissions.
            is_active: Whether the user can log in and use tokens.

        Returns:
            The changed user; None if it was not found.
        """
        changed = None if permissions is None else _dump(permissions)
        users = await self._users(
            "UPDATE users SET password_hash = COALESCE(?, password_hash), "
            "permissions = COALESCE(?, permissions), is_admin = COALESCE(?, is_admin), "
            "is_active = COALESCE(?, is_active) WHERE id = ? RETURNING *",
            (password_hash, changed, is_admin, is_active, user_id),
        )
        return next(iter(users), None)

    async def delete(self, user_id: int) -> bool:
        """Delete a user.

        Args:
            user_id: The user's id.

        Returns:
            False if the user was not found.
        """
        async with self._connection.execute("DELETE FROM users WHERE id = ?", (user_id,)) as cursor:
            return cursor.rowcount > 0

    async def _users(self, statement: str, values: tuple[str | int | None, ...]) -> list[User]:
        rows = await self._connection.execute_fetchall(statement, values)
        return [User.model_validate(dict(row)) for row in rows]


def _make_private_file(path: Path) -> None:
    """Create an empty file, which is a valid database. SQLite's journal files get the same mode."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _dump(permissions: Sequence[str]) -> str:
    return _STRINGS.dump_json(list(permissions)).decode()
