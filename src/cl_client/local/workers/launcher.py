"""How a worker process comes to be: a fresh Python interpreter with pipes for its streams."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""The longest answer of a task. Longer ones are the job's error; large results belong into files."""


class RunningProgram(Protocol):
    """A process that runs `cl_client.local.workers.program`; an `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def returncode(self) -> int | None:
        """How it ended, as `subprocess` says it; None while it runs."""
        ...

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """Takes requests."""
        ...

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Gives replies of up to `MAX_REPLY_BYTES`."""
        ...

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        """Gives whatever libraries print."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    async def wait(self) -> int:
        """Wait until it has ended."""
        ...


Launcher: TypeAlias = Callable[[], Awaitable[RunningProgram]]
"""Starts a worker process. Raises OSError if none can be started."""


async def start_interpreter() -> RunningProgram:
    """Not a fork, and not multiprocessing: a caller's script needs no main guard."""
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
    """What the server can import its workers can, too; an empty entry is the working folder."""
    return [str(Path(entry).absolute()) for entry in sys.path]
