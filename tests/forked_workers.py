"""Worker processes of local servers, forked from a warm process at a tenth of the cost of an interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from cl_client.local.workers import process
from cl_client.local.workers.launcher import MAX_REPLY_BYTES, import_path, start_interpreter
from forking import REPORT

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from cl_client.local.workers.launcher import Launcher

_PROGRAM = Path(__file__).with_name("fork_server.py")
_ADDRESS = "CL_TEST_FORK_SERVER"
"""The environment variable through which servers in other processes find it, once it runs."""


@contextlib.contextmanager
def launched_by(launcher: Launcher) -> Generator[None]:
    """Servers start their worker processes so meanwhile."""
    before, process.launch = process.launch, launcher
    try:
        yield
    finally:
        process.launch = before


def fresh_interpreters() -> contextlib.AbstractContextManager[None]:
    """Servers start their worker processes as they do without tests."""
    return launched_by(start_interpreter)


@contextlib.contextmanager
def forked_workers() -> Generator[None]:
    """Servers have their worker processes forked, where the system can fork."""
    if sys.platform == "win32":
        yield
        return
    with contextlib.closing(ForkServer()) as server, launched_by(server.launch):
        yield


def fork_workers_here() -> None:
    """The same in a process that a test has started, if the fork server runs already."""
    if (address := os.environ.get(_ADDRESS)) is not None:
        process.launch = lambda: _launch(address)


class ForkServer:
    """Starts when its first worker process is asked for."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cl-"))
        self.address = str(self._folder / "fork")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen(128)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    async def launch(self) -> ForkedProgram:
        """Have a worker process forked."""
        with self._lock:
            if self._process is None:
                self._process = self._start()
                os.environ[_ADDRESS] = self.address
        return await _launch(self.address)

    def close(self) -> None:
        """End it; worker processes end with their servers."""
        self._listener.close()
        shutil.rmtree(self._folder)
        if self._process is not None:
            os.environ.pop(_ADDRESS, None)
            with self._process:  # its stdin is closed, and its end awaited
                pass

    def _start(self) -> subprocess.Popen[bytes]:
        # With more than one thread, which numpy would start, a process cannot be forked safely.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(_PROGRAM), str(self._listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[self._listener.fileno()],
            env=environment,
        )


class ForkedProgram(asyncio.Protocol):
    """One forked worker process, a `RunningProgram`; the fork server says what becomes of it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self.forked: asyncio.Future[int] = loop.create_future()
        self._ended: asyncio.Future[int] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._heard = b""
        self._connection: asyncio.BaseTransport | None = None

    @property
    def pid(self) -> int:
        return self.forked.result()

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        code = await asyncio.shield(self._ended)
        await asyncio.shield(self._lost)  # else a loop that ends now leaves a socket open
        return code

    async def end(self) -> None:
        """Kill it, and wait until nothing of it is left."""
        self.kill()
        await self.wait()
        if self.stdin is not None:
            self.stdin.close()
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                await stream.read()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._heard += data
        whole = len(self._heard) // REPORT.size * REPORT.size
        reports = cast("Iterator[tuple[int]]", REPORT.iter_unpack(self._heard[:whole]))
        for future, (number,) in zip((self.forked, self._ended), reports, strict=False):
            if not future.done():
                future.set_result(number)
        if self._ended.done() and self._connection is not None:
            self._connection.close()  # the loop may be closed before the fork server hangs up

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set_result(None)
        if not self.forked.done():
            self.forked.set_exception(OSError("the fork server is gone"))
        if not self._ended.done():
            self._ended.set_result(-signal.SIGKILL)


async def _launch(address: str) -> ForkedProgram:
    """Like asyncio's own: whoever is cancelled meanwhile leaves no process."""
    starting = asyncio.create_task(_start(address))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await (await starting).end()
        raise


async def _start(address: str) -> ForkedProgram:
    loop = asyncio.get_running_loop()
    (stdin, requests), (replies, stdout), (words, stderr) = os.pipe(), os.pipe(), os.pipe()
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        socket.send_fds(connection, [b"-"], [stdin, stdout, stderr])
        connection.sendall(_surroundings())
        connection.shutdown(socket.SHUT_WR)
    finally:
        for passed_on in (stdin, stdout, stderr):
            os.close(passed_on)
    _, forked = await loop.create_unix_connection(ForkedProgram, sock=connection)
    forked.stdin = await _writer(requests)
    forked.stdout = await _reader(replies)
    forked.stderr = await _reader(words)
    await forked.forked
    return forked


def _surroundings() -> bytes:
    return json.dumps(
        {"folder": str(Path.cwd()), "environment": dict(os.environ), "path": import_path()}
    ).encode()


async def _writer(pipe: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(pipe, "wb")
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(MAX_REPLY_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb")
    )
    return reader
