"""Passwords: hashed with Argon2 in threads, a few at a time."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cl_client._core.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

# Each hash takes 64 MiB and several cores for a while; the server's threads have other work as well.
_AT_ONCE: Final = 2

make_hasher: Callable[[], PasswordHasher] = PasswordHasher
"""Creates the hasher, with the costs that argon2 recommends."""


class Passwords:
    """Hashes and verifies passwords. Create it with `create`."""

    def __init__(self, hasher: PasswordHasher, nobodys_hash: str) -> None:
        self._hasher = hasher
        self._nobodys_hash = nobodys_hash
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @classmethod
    async def create(cls) -> Passwords:
        """Create the hasher, with a dummy hash to verify the passwords of unknown users against.

        Returns:
            The hasher.
        """
        hasher = make_hasher()
        return cls(hasher, await in_thread(hasher.hash, secrets.token_hex()))

    async def hash(self, password: SecretStr) -> str:
        """Hash a password with a random salt.

        Args:
            password: The password.

        Returns:
            The hash as text that names its algorithm and parameters.
        """
        async with self._turns:
            return await in_thread(self._hasher.hash, password.get_secret_value())

    async def fits(self, password: SecretStr, password_hash: str | None) -> bool:
        """Verify a password.

        Args:
            password: The password.
            password_hash: The hash to compare with; None for an unknown user, which takes the same time.

        Returns:
            Whether the password matches the hash; False without one.
        """
        async with self._turns:
            return await in_thread(self._fits, password.get_secret_value(), password_hash)

    def _fits(self, password: str, password_hash: str | None) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobodys_hash, password)
        except (InvalidHashError, VerificationError):
            return False
        return password_hash is not None
