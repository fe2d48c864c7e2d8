"""A local server in a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

from patience import soon
from support import free_port

_SERVE_FOR_EVER = """
import asyncio, sys, threading
from pathlib import Path
from cl_client.local import LocalServer
from forked_workers import fork_workers_here

async def hold(job):
    if job.task_type == "media_thumbnail":
        await asyncio.to_thread(addresses_are_told.wait)
        print(job.job_id, flush=True)
        while (order := (await asyncio.to_thread(sys.stdin.readline)).strip()).isdecimal():
            await job.report(int(order))

fork_workers_here()
addresses_are_told = threading.Event()
server = LocalServer(
    workers=1, port=int(sys.argv[1]), mqtt_port=int(sys.argv[2]), data_dir=Path(sys.argv[3]), before_job=hold
)
server.start()
print(server.base_url, server.mqtt_url, flush=True)
addresses_are_told.set()
threading.Event().wait()
"""


class ServerProcess:
    """A local server with its broker in a process of its own, on ports that stay its own.

    Its only worker holds each job of the task media_thumbnail until `release`.
    """

    def __init__(self, data_dir: Path) -> None:
        arguments = [str(free_port()), str(free_port()), str(data_dir)]
        self._command = [sys.executable, "-c", _SERVE_FOR_EVER, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.base_url = self.mqtt_url = ""

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        self.base_url, self.mqtt_url = self._read_line().split()

    def kill(self) -> None:
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None

    async def reached(self) -> str:
        """The id of the next job that is held."""
        job_id = await soon(asyncio.to_thread(self._read_line))
        assert job_id, "the server has ended"
        return job_id

    def report(self, progress: int) -> None:
        """Publish progress of the job that is held."""
        self._tell(str(progress))

    def release(self) -> None:
        """Run the task of the job that is held."""
        self._tell("release")

    def _read_line(self) -> str:
        assert self._process is not None
        return cast("IO[str]", self._process.stdout).readline().strip()

    def _tell(self, order: str) -> None:
        assert self._process is not None
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(f"{order}\n")
        stdin.flush()
