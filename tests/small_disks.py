"""Disks of a test's own: small ones, full ones, and such as may only be read."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support import skip

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


def as_root(*command: str | Path) -> None:
    sudo = [] if sys.platform == "linux" and os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*sudo, *command], check=True, capture_output=True)  # noqa: S603 - mounting a test's own disk


@contextmanager
def small_disk(folder: Path, size: str) -> Generator[Path]:
    """A disk of that size at an empty folder; skips where none can be mounted."""
    try:
        as_root("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    except (OSError, subprocess.CalledProcessError) as exc:
        skip(f"a small disk cannot be mounted: {exc}")
    try:
        yield folder
    finally:
        as_root("umount", folder)


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as exc:
            assert exc.errno == errno.ENOSPC  # noqa: PT017 - it is how one knows that it is full


def make_read_only(disk: Path) -> None:
    """Let nobody write to a disk any more, not even root."""
    as_root("mount", "-o", "remount,ro", disk)
