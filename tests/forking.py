"""Forks a child for each order, and reports what becomes of it: the part that all warm processes share."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    Source = socket.socket | int
    """What orders come from: anything that `select` knows."""

OrderT = TypeVar("OrderT")

REPORT: Final = struct.Struct("i")
"""What is reported of a child: the number of its process, and later its return code."""


class Ordered(NamedTuple, Generic[OrderT]):
    """An order, the descriptors of the child's standard streams, and where to report."""

    order: OrderT
    streams: Sequence[int]
    report: socket.socket


def fork_for_each(
    sources: Sequence[Source], take: Callable[[Sequence[Source]], Ordered[OrderT] | None]
) -> Ordered[OrderT] | None:
    """Return in each child, with its order; in this process only when there are no more orders, with None.

    Args:
        sources: What to wait for.
        take: Is given those that have something to read, and gives the next order, or None at the end.
    """
    running: dict[int, socket.socket] = {}
    try:
        with _woken_by_children() as wakeup:
            while True:
                ready, _, _ = select.select([wakeup, *sources], [], [])
                if wakeup in ready:
                    wakeup.recv(4096)
                    _report_ends(running)
                    ready.remove(wakeup)
                if not ready:
                    continue
                if (ordered := take(ready)) is None:
                    return None
                running[0] = ordered.report
                if (pid := os.fork()) == 0:
                    return ordered
                for stream in ordered.streams:
                    os.close(stream)
                running[pid] = running.pop(0)
                _tell(ordered.report, pid)
    finally:  # in a child, too: an open copy would keep others waiting for its end
        for report in running.values():
            report.close()


def take_streams(streams: Sequence[int]) -> None:
    """Make descriptors the standard streams of this process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


@contextlib.contextmanager
def _woken_by_children() -> Generator[socket.socket]:
    """A socket that has something to read whenever a child may have ended."""
    wakeup, writer = socket.socketpair()
    with wakeup, writer:
        writer.settimeout(0)
        signal.signal(signal.SIGCHLD, _note)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield wakeup
        finally:
            signal.set_wakeup_fd(before)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _note(_number: int, _frame: object) -> None:
    """A handler is what makes a signal wake."""


def _report_ends(running: dict[int, socket.socket]) -> None:
    """Report the return code of each child that has ended, as `subprocess.Popen` has it."""
    for pid in [*running]:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with running.pop(pid) as report:
                _tell(report, os.waitstatus_to_exitcode(status))


def _tell(report: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # whoever asked is gone
        report.sendall(REPORT.pack(number))
