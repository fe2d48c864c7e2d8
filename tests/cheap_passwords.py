"""Local servers of tests hash passwords cheaply, as most tests are about something else."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from argon2 import PasswordHasher

from cl_client.local.auth import passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@contextlib.contextmanager
def _hashed_by(make_hasher: Callable[[], PasswordHasher]) -> Generator[None]:
    before, passwords.make_hasher = passwords.make_hasher, make_hasher
    try:
        yield
    finally:
        passwords.make_hasher = before


def cheap_passwords() -> contextlib.AbstractContextManager[None]:
    """For servers that start meanwhile."""
    return _hashed_by(partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1))


def real_passwords() -> contextlib.AbstractContextManager[None]:
    """For servers that start meanwhile, as users have them."""
    return _hashed_by(PasswordHasher)
