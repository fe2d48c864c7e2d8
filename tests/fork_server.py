"""A program that is forked into worker processes, so that their libraries are imported once for all of them.

Its argument is the number of the socket that it listens on. It ends when its stdin does. Each connection
asks for one worker process: it sends three streams, then folder, environment and import path as JSON. The
answer is the process id and, at the end, the exit code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import sys
from importlib import import_module
from typing import TypedDict, cast

from cl_client.local.workers import program

# Not ONNX Runtime, which starts a thread: what is forked has one only.
PRELOADED = (
    "cl_client.local.tasks.faces.face_detection",
    "cl_client.local.tasks.file_hash",
    "cl_client.local.tasks.metadata.exif",
    "cl_client.local.tasks.pictures.image_conversion",
    "cl_client.local.tasks.pictures.media_thumbnail",
    "cl_client.local.tasks.video.hls_streaming",
    "cl_client.plugins.clip_embedding",
    "cl_client.plugins.dino_embedding",
    "cl_client.plugins.exif",
    "cl_client.plugins.face_detection",
    "cl_client.plugins.face_embedding",
    "cl_client.plugins.hash",
    "cl_client.plugins.hls_streaming",
    "cl_client.plugins.image_conversion",
    "cl_client.plugins.media_thumbnail",
)


class Surroundings(TypedDict):
    """What a worker process takes over from its server, beside its streams."""

    folder: str
    environment: dict[str, str]
    path: list[str]


class ForkServer:
    """Forks at each connection, and says how each process ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._processes: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Return in each forked process, with everything in place for the program; never in this one."""
        self._woken.settimeout(0)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _events in self._selector.select():
                if key.fileobj is self._wake:
                    self._wake.recv(4096)
                    self._tell_ends()
                elif key.fileobj is self._listener:
                    if self._fork():
                        return
                else:
                    sys.exit()

    def _fork(self) -> bool:
        """Whether this is the new process."""
        connection = self._listener.accept()[0]
        streams = socket.recv_fds(connection, 1, 3)[1]
        with connection.makefile("rb") as request:
            surroundings = cast("Surroundings", json.load(request))
        process_id = os.fork()
        if process_id == 0:
            self._leave(connection)
            _enter(surroundings, streams)
            return True
        for stream in streams:
            os.close(stream)
        self._processes[process_id] = connection
        self._say(process_id, process_id)
        return False

    def _leave(self, connection: socket.socket) -> None:
        """Close what is the fork server's own: an open copy would keep others waiting for its end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for own in (self._listener, self._wake, self._woken, connection, *self._processes.values()):
            own.close()

    def _tell_ends(self) -> None:
        while self._processes:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if process_id == 0:
                return
            self._say(process_id, os.waitstatus_to_exitcode(status))
            self._processes.pop(process_id).close()

    def _say(self, process_id: int, number: int) -> None:
        try:
            self._processes[process_id].sendall(f"{number}\n".encode())
        except OSError:
            return  # its server is gone, and so is whoever asked


def _wake(_signal: int, _frame: object) -> None:
    """Nothing: that there is a handler makes Python write to the wake-up socket."""


def _enter(surroundings: Surroundings, streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(surroundings["folder"])
    os.environ.clear()
    os.environ.update(surroundings["environment"])
    sys.path[:] = surroundings["path"]


def main() -> None:
    """Serve until stdin ends, or, when forked, run the program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in PRELOADED:
        import_module(module)
    gc.collect()
    gc.freeze()
    ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    program.main()
    # Saves measured coverage. A usual end would also take all modules apart, which is longer than most jobs.
    atexit._run_exitfuncs()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - there is no public way
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
