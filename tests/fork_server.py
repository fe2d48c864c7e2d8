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
import signal
import socket
import sys
from importlib import import_module
from typing import TypedDict, cast

from cl_client.local.workers import program
from forking import Ordered, fork_for_each, take_streams

_STDIN = 0

# Not ONNX Runtime, which starts a thread: what is forked has one only.
PRELOADED = (
    "cl_client.local.tasks.faces.face_detection",
    "cl_client.local.tasks.hashing.file_hash",
    "cl_client.local.tasks.metadata.exif",
    "cl_client.local.tasks.conversion.image_conversion",
    "cl_client.local.tasks.media_thumbnail",
    "cl_client.local.tasks.hls.hls_streaming",
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


def _next_order(listener: socket.socket) -> Ordered[Surroundings]:
    connection = listener.accept()[0]
    streams = socket.recv_fds(connection, 1, 3)[1]
    with connection.makefile("rb") as request:
        surroundings = cast("Surroundings", json.load(request))
    return Ordered(surroundings, streams, connection)


def _enter(ordered: Ordered[Surroundings]) -> None:
    take_streams(ordered.streams)
    os.chdir(ordered.order["folder"])
    os.environ.clear()
    os.environ.update(ordered.order["environment"])
    sys.path[:] = ordered.order["path"]


def main() -> None:
    """Serve until stdin ends, or, when forked, run the program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in PRELOADED:
        import_module(module)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        ordered = fork_for_each(
            [listener, _STDIN], lambda ready: _next_order(listener) if listener in ready else None
        )
    if ordered is None:
        return
    _enter(ordered)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    program.main()
    # Saves measured coverage. A usual end would also take all modules apart, which is longer than most jobs.
    atexit._run_exitfuncs()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - there is no public way
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
