"""Runs commands in terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def shown_by(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command in a terminal of its own, and give all that it wrote there."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - the command under test
        [sys.executable, "-m", "cl_client_cli", *command],
        cwd=folder,
        env=environment | {"TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ):
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
