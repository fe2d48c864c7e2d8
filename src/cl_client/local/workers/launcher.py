"""Starts a worker process: a new Python interpreter with pipes for its streams."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""Size limit of a task's answer. A longer one fails the job; large results belong in files."""


class RunningProgram(Protocol):
    """A process that runs `cl_client.local.workers.program`; an `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative number of the signal that ended it; None while it runs."""
        ...

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """Receives requests."""
        ...

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Sends replies of up to `MAX_REPLY_BYTES`."""
        ...

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        """Sends what libraries print."""
        ...

    def kill(self) -> None:
        """Kill the process."""
        ...

    async def wait(self) -> int:
        """Wait until the process has ended.

        Returns:
            The exit code, or the negative number of the signal.
        """
        ...


Launcher: TypeAlias = Callable[[], Awaitable[RunningProgram]]
"""Starts a worker process. Raises OSError if none can be started."""


async def start_interpreter() -> RunningProgram:
    """Start a new interpreter.

    It is neither forked nor started by multiprocessing, so a caller's script needs no main guard.

    Returns:
        The running process.

    Raises:
        OSError: No process can be started.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # the working folder is no place to import from, unless the caller does so too
        "-m",
        "cl_client.local.workers.program",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=MAX_REPLY_BYTES,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
    )


def import_path() -> list[str]:
    """List the folders from which the server imports, as its workers are to import the same.

    Returns:
        Absolute paths; an empty entry of `sys.path` stands for the working folder.
    """
    return [str(Path(entry).absolute()) for entry in sys.path]
