"""Keyrings for tests, in place of the system's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Generator


class MemoryKeyring(KeyringBackend):
    """Keeps everything while the test runs.

    Attributes:
        entries: What is kept, by service and name.
        is_locked: Whether every call fails, with an error that quotes what it was given.
    """

    priority = 1.0  # pyright: ignore[reportAssignmentType] - as keyring's own backends do

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.is_locked = False

    @override
    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.entries.get((service, username))

    @override
    def set_password(self, service: str, username: str, password: str) -> None:
        self._check(password)
        self.entries[service, username] = password

    @override
    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if (service, username) not in self.entries:
            raise PasswordDeleteError
        del self.entries[service, username]

    def _check(self, *quoted: str) -> None:
        if self.is_locked:
            raise RuntimeError("the keyring is locked", *quoted)


@contextlib.contextmanager
def using(backend: KeyringBackend) -> Generator[None]:
    """Let this be the system's keyring."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)
