"""Runs commands in terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

_WITH_TERMINAL: Final = """
import fcntl, os, sys, termios

os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Runs Python in a session that the terminal on its standard input controls, as a shell does."""


def start_python(
    terminal: int, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, controls: bool
) -> subprocess.Popen[str]:
    """Start an interpreter with a terminal for its streams, which controls it where that is wanted."""
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, *(("-c", _WITH_TERMINAL) if controls else ()), *arguments],
        cwd=folder,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        encoding="utf-8",
    )


def shown_by(start: Callable[[int], AbstractContextManager[object]]) -> str:
    """Start a command in a terminal of its own, and give all that it writes there."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    with start(theirs):
        os.close(theirs)
        written = rest_of(ours)
    return written.decode()


def rest_of(terminal: int) -> bytes:
    """What is still written to a terminal, by its own end of it, which is closed then."""
    written = bytearray()
    try:
        while chunk := os.read(terminal, 4096):
            written += chunk
    except OSError:  # how Linux says that the other end was closed
        os.close(terminal)
    return bytes(written)
