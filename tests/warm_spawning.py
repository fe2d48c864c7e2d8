"""What `multiprocessing` spawns for a warm command: a process that was forked before the command began.

So it is as new as one that is started then, and the command is its parent.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
from multiprocessing import util
from typing import TYPE_CHECKING, Final, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SPAWNED: Final = "--multiprocessing-fork"
_OUT_OF_THE_WAY: Final = 100
_MAX_SIZE: Final = 1 << 16
_MAX_DESCRIPTORS: Final = 16


class _Start(TypedDict):
    """How a process is to be started: its arguments, and what it inherits."""

    arguments: list[str]
    descriptors: list[int]
    blocked_signals: list[int]


def fork_spare() -> list[str] | None:
    """Fork a process that `multiprocessing` is given when it spawns one.

    Returns:
        In that process the arguments with which it is spawned, once it is; in this one nothing.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        return _await_start(theirs)
    theirs.close()
    atexit.register(_end_unused, ours, pid)
    spawn = cast("Callable[[bytes, Sequence[str | bytes], Sequence[int]], int]", util.spawnv_passfds)

    def use_spare(path: bytes, arguments: Sequence[str | bytes], descriptors: Sequence[int]) -> int:
        if _SPAWNED not in arguments or ours.fileno() < 0:
            return spawn(path, arguments, descriptors)
        blocked = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
        start = _Start(
            arguments=[os.fsdecode(it) for it in arguments],
            descriptors=[*descriptors],
            blocked_signals=blocked,
        )
        with ours:
            socket.send_fds(ours, [json.dumps(start).encode()], start["descriptors"])
        return pid

    util.spawnv_passfds = use_spare
    return None


def _end_unused(ours: socket.socket, pid: int) -> None:
    if ours.fileno() >= 0:
        ours.close()
        os.waitpid(pid, 0)


def _await_start(theirs: socket.socket) -> list[str]:
    import fcntl  # not on Windows

    # What is sent to the command's group is not for a process that is not there yet.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    with theirs:
        content, received, *_ = socket.recv_fds(theirs, _MAX_SIZE, _MAX_DESCRIPTORS)
    if not content:
        os._exit(0)
    start = cast("_Start", json.loads(content))
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for number in received]
    for number in received:
        os.close(number)
    for number, wanted in zip(moved, start["descriptors"], strict=True):
        os.dup2(number, wanted)
        os.close(number)
    signal.pthread_sigmask(signal.SIG_SETMASK, start["blocked_signals"])
    return start["arguments"]
