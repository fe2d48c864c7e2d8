"""Commands that run in children of a warm process: real processes, which start at a tenth of the cost.

A new interpreter takes more than a second to import what a command needs. `WarmCommands` has that done once,
by the program `warm_process`, which forks a child for each command. The child has the arguments, folder,
environment, streams, signals and end of a process of its own.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

import warm_process
from command_lines import rest_of
from forking import REPORT
from patience import SECONDS
from warm_process import MAX_ORDER, Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_PROGRAM: Final = Path(warm_process.__file__)
_FOR_COMMANDS: Final = {"PYTHON_KEYRING_BACKEND"}
"""Which variables look like the interpreter's, and are not."""
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Lets NumPy start no threads in the warm process."""
CAN_FORK: Final = hasattr(os, "fork") and sys.platform != "darwin"
"""Whether there are warm commands here; macOS may kill a forked process that uses its frameworks."""


class WarmCommand:
    """A command that was started, with what tests use of `subprocess.Popen`.

    Attributes:
        pid: The number of its process.
        returncode: Its exit code, or the negative number of the signal that ended it, once that is known.
        stdout: What it writes to standard output, if that is a pipe.
        stderr: The same of standard error.
    """

    def __init__(self, report: socket.socket, stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self._report = report
        self._waiting = threading.Lock()
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self.pid = self._next_report()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()
        self._report.close()

    def poll(self) -> int | None:
        """The return code, if it has ended."""
        # While another thread waits for the end, it has not ended.
        if self._waiting.acquire(blocking=False):
            try:
                self._await_end(0)
            finally:
                self._waiting.release()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The return code, once it has ended."""
        with self._waiting:
            self._await_end(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("cl-client", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it on the spot."""
        self.send_signal(signal.SIGKILL)

    def _await_end(self, timeout: float | None) -> None:
        if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
            self.returncode = self._next_report()

    def _next_report(self) -> int:
        report = self._report.recv(REPORT.size)
        assert report, "the warm process has ended"
        return cast("tuple[int]", REPORT.unpack(report))[0]


class WarmCommands:
    """The warm process, from its start to its end.

    Args:
        module: What Python runs, as with ``-m``.
    """

    def __init__(self, module: str = "cl_client_cli") -> None:
        self._module = module
        self._environment = {**os.environ, "PYTHONUTF8": "1"}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, str(_PROGRAM), str(theirs.fileno())],
                env=self._environment | _ONE_THREAD,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        """End the warm process."""
        self._control.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Args:
            arguments: What follows `cl-client`.
            folder: The folder in which it runs.
            environment: All of its environment.
            stdin: What it reads from standard input.
        """
        theirs, ours = os.pipe()
        try:
            command = self.start(arguments, folder, environment, stdin=theirs)
        finally:
            os.close(theirs)
        overdue = threading.Timer(SECONDS, command.kill)
        overdue.daemon = True
        overdue.start()
        with command:
            threading.Thread(target=_write_all, args=(ours, stdin), daemon=True).start()
            stdout, stderr = rest_of(command)
        overdue.cancel()
        return subprocess.CompletedProcess(["cl-client", *arguments], command.wait(), stdout, stderr)

    def start(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, stdin: int = 0
    ) -> WarmCommand:
        """Start a command whose output can be read while it runs; see `run`.

        Args:
            arguments: What follows `cl-client`.
            folder: The folder in which it runs.
            environment: All of its environment.
            stdin: The descriptor of its standard input.
        """
        (stdout, their_stdout), (stderr, their_stderr) = os.pipe(), os.pipe()
        try:
            report = self._send(arguments, folder, environment, (stdin, their_stdout, their_stderr))
        finally:
            os.close(their_stdout)
            os.close(their_stderr)
        return WarmCommand(report, os.fdopen(stdout, encoding="utf-8"), os.fdopen(stderr, encoding="utf-8"))

    def start_in_terminal(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        terminal: int,
        *,
        controls: bool = False,
    ) -> WarmCommand:
        """Start a command with a terminal for its three streams; see `start`.

        Args:
            arguments: What follows `cl-client`.
            folder: The folder in which it runs.
            environment: All of its environment.
            terminal: The terminal's descriptor.
            controls: Whether the terminal controls a session of the command's own, as that of a shell does.
        """
        report = self._send(arguments, folder, environment, (terminal,) * 3, controls=controls)
        return WarmCommand(report, None, None)

    def _send(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        streams: Sequence[int],
        *,
        controls: bool = False,
    ) -> socket.socket:
        """Order a command; the socket on which is reported what becomes of it."""
        assert _read_at_start(environment) == _read_at_start(self._environment), (
            "the interpreter reads these when it starts: start a process of its own"
        )
        order = Order(
            module=self._module,
            arguments=[*arguments],
            folder=str(folder),
            environment={**environment},
            has_terminal=controls,
        )
        content = json.dumps(order).encode()
        assert len(content) <= MAX_ORDER
        report, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [content], [*streams, theirs.fileno()])
        return report


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter reads of an environment when it starts; a child would have that of its parent."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("PYTHON", "LC_")) or name == "LANG"
        if name not in _FOR_COMMANDS
    }


def _write_all(descriptor: int, text: str) -> None:
    """Write a text into a pipe; its reader need not want it."""
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as pipe:
            pipe.write(text)
    except BrokenPipeError:
        return
