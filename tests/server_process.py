"""A local server in a process of its own, which can be killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO, cast

from support import free_port

_SERVE_FOR_EVER = """
import sys, threading
from pathlib import Path
from cl_client.local import LocalServer
from forked_workers import fork_workers_here
from support import SCRIPTED, SCRIPTED_TASK
fork_workers_here()
server = LocalServer(
    workers=1, port=int(sys.argv[1]), mqtt_port=int(sys.argv[2]), data_dir=Path(sys.argv[3]),
    extra_tasks={SCRIPTED: SCRIPTED_TASK},
)
server.start()
print(server.base_url, server.mqtt_url, flush=True)
threading.Event().wait()
"""


class ServerProcess:
    """A local server with its broker in a process of its own, on ports that stay its own."""

    def __init__(self, data_dir: Path) -> None:
        arguments = [str(free_port()), str(free_port()), str(data_dir)]
        self._command = [sys.executable, "-c", _SERVE_FOR_EVER, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.base_url = self.mqtt_url = ""

    def start(self) -> None:
        tests = Path(__file__).parent
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=tests)  # noqa: S603 - our own
        self.base_url, self.mqtt_url = cast("IO[str]", self._process.stdout).readline().split()

    def kill(self) -> None:
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None
