"""A process that has imported the command line, and forks a child for each command: a program of its own.

It starts no thread and no event loop. A child turns into what a new interpreter would have been, and then
runs ``python -m cl_client_cli`` to the interpreter's own end. See `warm_commands` for the other side.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import multiprocessing.process
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from typing import BinaryIO, Final, TextIO, TypedDict, cast

from forking import Ordered, fork_for_each, take_streams
from warm_spawning import fork_spare

MAX_ORDER: Final = 1 << 17
"""Bytes; an order is one message, which the descriptors come with."""

# What commands import when they need it.
_MODULES: Final = (
    *(f"cl_client_cli.{name}" for name in ("main", "console_script", "database", "batch.run", "demo.work")),
    *(f"cl_client_cli.{name}" for name in ("frame.command_frame", "frame.own_server", "frame.outages")),
    *(f"cl_client_cli.{name}" for name in ("jobs.listing", "jobs.download", "jobs.following", "report.page")),
    *(f"cl_client_cli.{name}" for name in ("server.doctor", "server.announcements", "server.round_trip")),
    *(f"cl_client_cli.{name}" for name in ("settings.work", "similar.work", "tasks.run", "local.serving")),
    *("rich.progress", "rich.table", "rich.live", "httpx", "paho.mqtt.client", "zeroconf.asyncio", "jinja2"),
    *("keyring", "jwt", "yaml", "numpy", "PIL.Image", "pillow_heif", "multiprocessing.spawn"),
)

_STDERR: Final = 2


class Order(TypedDict):
    """A command that is to run.

    Attributes:
        module: What Python runs, as with ``-m``.
        arguments: Its arguments.
        folder: The folder in which it runs.
        environment: All of its environment.
        has_terminal: Whether the terminal on its standard input controls a session of its own.
    """

    module: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]
    has_terminal: bool


def main(control: socket.socket) -> None:
    """Serve until nobody wants commands any more; in each child, run one."""
    for name in _MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that a collection in a child does not copy the memory that they share
    with control:
        ordered = fork_for_each([control], lambda _ready: _next_order(control))
    if ordered is None:
        return
    _become(ordered)
    spawned = fork_spare() if "batch" in sys.argv else None
    if spawned is None:
        runpy.run_module(ordered.order["module"], run_name="__main__", alter_sys=True)
    else:
        code = spawned.index("-c")
        sys.argv[:] = spawned[code : code + 1] + spawned[code + 2 :]
        exec(spawned[code + 1])  # noqa: S102 - what an interpreter does with it


def _next_order(control: socket.socket) -> Ordered[Order] | None:
    content, descriptors, *_ = socket.recv_fds(control, MAX_ORDER, 4)
    if not content:
        return None
    *streams, report = descriptors
    return Ordered(cast("Order", json.loads(content)), streams, socket.socket(fileno=report))


def _become(ordered: Ordered[Order]) -> None:
    """Turn into what the interpreter would be if it had just been started for this command."""
    order = ordered.order
    if order["has_terminal"]:
        os.setsid()
    take_streams(ordered.streams)
    if order["has_terminal"]:
        _let_terminal_control()
    os.chdir(order["folder"])
    # Where the environment names no locale, an interpreter adds one as it starts (PEP 538).
    coerced = {name: value for name, value in os.environ.items() if name == "LC_CTYPE"}
    os.environ.clear()
    os.environ.update(coerced | order["environment"])
    time.tzset()
    tempfile.tempdir = None
    multiprocessing.process.ORIGINAL_DIR = order["folder"]  # pyright: ignore[reportAttributeAccessIssue] - its types lack it
    sys.path[0] = order["folder"]
    sys.argv[:] = ["-m", *order["arguments"]]
    sys.orig_argv[:] = [sys.executable, "-m", order["module"], *order["arguments"]]
    sys.stdin = sys.__stdin__ = _standard_stream(0, sys.stdin)
    sys.stdout = sys.__stdout__ = _standard_stream(1, sys.stdout)
    sys.stderr = sys.__stderr__ = _standard_stream(2, sys.stderr)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _let_terminal_control() -> None:
    """Let the terminal on standard input control this session, as that of a shell does."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _standard_stream(number: int, before: TextIO) -> TextIO:
    """One of the three, for what its descriptor is now, as the interpreter makes it at its start."""
    assert isinstance(before, io.TextIOWrapper)
    mode = "r" if number == 0 else "w"
    unbuffered = before.write_through
    raw = io.FileIO(number, mode, closefd=False)
    raw.name = before.name
    readable = io.BufferedReader(raw) if number == 0 else None
    stream = io.TextIOWrapper(
        readable or cast("BinaryIO", raw if unbuffered else io.BufferedWriter(raw)),
        encoding=before.encoding,
        errors=before.errors,
        newline="\n",
        line_buffering=not unbuffered and (number == _STDERR or raw.isatty()),
        write_through=unbuffered,
    )
    vars(stream)["mode"] = mode
    return stream


if __name__ == "__main__":
    # Ctrl-C is for the tests, which then end this process; and a child is not ready for it at once.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main(socket.socket(fileno=int(sys.argv[1])))
