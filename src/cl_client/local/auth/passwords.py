"""Passwords: hashed with argon2, in threads, a few at a time."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cl_client._core.threads import in_thread

if TYPE_CHECKING:
    from pydantic import SecretStr

# Each takes 64 MiB and several cores for a while; the server's threads have other work as well.
_AT_ONCE: Final = 2


class Passwords:
    """Hashes passwords and compares them; make it with `create`."""

    def __init__(self, hasher: PasswordHasher, nobodys_hash: str) -> None:
        self._hasher = hasher
        self._nobodys_hash = nobodys_hash
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @classmethod
    async def create(cls) -> Passwords:
        """With a hash for comparing the passwords of unknown users, which no password fits."""
        hasher = PasswordHasher()
        return cls(hasher, await in_thread(hasher.hash, secrets.token_hex()))

    async def hash(self, password: SecretStr) -> str:
        """The password's salted hash, as text that names its algorithm and its costs."""
        async with self._turns:
            return await in_thread(self._hasher.hash, password.get_secret_value())

    async def fits(self, password: SecretStr, password_hash: str | None) -> bool:
        """Whether the hash is that of the password; without a hash False, after the same time."""
        async with self._turns:
            return await in_thread(self._fits, password.get_secret_value(), password_hash)

    def _fits(self, password: str, password_hash: str | None) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobodys_hash, password)
        except (InvalidHashError, VerificationError):
            return False
        return password_hash is not None
