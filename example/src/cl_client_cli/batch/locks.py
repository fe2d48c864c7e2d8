"""Locks of a batch's folder: one command runs the batch, and one process works on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import portalocker

from cl_client_cli.batch.manifest import FILE_NAME
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

_ENDING_SECONDS: Final = 60.0
"""How many seconds to wait for an earlier run to end."""


@contextmanager
def running(folder: Path) -> Generator[None]:
    """Be the only command that runs the batch in a folder.

    Args:
        folder: The folder of the batch.

    Yields:
        Nothing; the lock is released afterwards.

    Raises:
        UsageError: Another command runs it.
    """
    lock = _lock(folder, ".lock")
    if not _acquire(lock, folder, seconds=0):
        raise UsageError(
            f"the batch in {str(folder)!r} is already running in another process; "
            "cl-client batch status shows its progress"
        )
    with lock:
        yield


@contextmanager
def working(folder: Path, on_wait: Callable[[], None]) -> Generator[None]:
    """Be the only process that works on the batch; one whose command was killed may still be ending.

    Args:
        folder: The folder of the batch.
        on_wait: Called before waiting for its end.

    Yields:
        Nothing; the lock is released afterwards.

    Raises:
        UsageError: It does not end within a minute.
    """
    lock = _lock(folder, ".working.lock")
    if not _acquire(lock, folder, seconds=0):
        on_wait()
        if not _acquire(lock, folder, seconds=_ENDING_SECONDS):
            raise UsageError(
                f"an earlier run of the batch in {str(folder)!r} has not ended within "
                f"{_ENDING_SECONDS:g} s; try again later"
            )
    with lock:
        yield


def _lock(folder: Path, suffix: str) -> portalocker.Lock:
    return portalocker.Lock(folder / f".{FILE_NAME}{suffix}", mode="a")


def _acquire(lock: portalocker.Lock, folder: Path, *, seconds: float) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except portalocker.AlreadyLocked:
        return False
    except portalocker.LockException as exc:
        raise UsageError(f"{str(folder)!r} cannot be locked: {exc}; use a local disk") from exc
    return True
