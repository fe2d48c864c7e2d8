"""Runs work in a process that outlives the command by as long as it needs to end in order.

Whatever kills the command, `kill -9`, a closed terminal, an impatient second Ctrl-C, the work is asked to
end and comes to a state from which it can go on: a job that the server has just taken is written down.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from threading import Thread, main_thread
from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.exit_codes import INTERRUPTED, SOME_FAILED
from cl_client_cli.frame.interruption import ENDING_SIGNALS, ending_signals, show_cursor
from cl_client_cli.frame.process_start import early_exit_code, show_any_name
from cl_client_cli.frame.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.connection import Connection

_LOOK_INTERVAL: Final = 0.5
_KEPT_OFF: Final = tuple(number for number in ENDING_SIGNALS if number != signal.SIGTERM)
"""The signals that a terminal sends to all of its processes."""


def run_detached(work: Callable[[], int], *, resume_hint: str = "") -> int:
    """Run work in a process of its own, to its end; the exit code.

    The first signal that would end the command asks the work to end, the second ends the command and leaves
    the work to itself.

    Args:
        work: Returns the exit code; can be pickled, and ends in order at `signal.SIGTERM`.
        resume_hint: What to say if somebody kills that process, beside that it was.
    """
    context = multiprocessing.get_context("spawn")
    orders, to_work = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, orders))
    asked = False

    def ask_to_end() -> None:
        nonlocal asked
        asked = True
        with suppress(BrokenPipeError):  # the work has just ended by itself
            to_work.send("end")

    with to_work, ending_signals(ask_to_end):
        with _signals_blocked():
            process.start()
        orders.close()
        while process.is_alive():
            process.join(_LOOK_INTERVAL)  # in turns, since on Windows no signal interrupts it
    code = process.exitcode
    if code is not None and code >= 0:
        return code
    if asked:  # it had not even begun
        Terminal.make().error(f"interrupted. {resume_hint}".rstrip())
        return INTERRUPTED
    Terminal.make().error(f"the process at work was ended by signal {-(code or 0)}. {resume_hint}".rstrip())
    return SOME_FAILED


@contextmanager
def _signals_blocked() -> Generator[None]:
    """Block a terminal's signals in a process that is started meanwhile; it lets them in when it is ready."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # its start, which would come with the process's, lets all signals in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _KEPT_OFF)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(work: Callable[[], int], orders: Connection) -> None:
    """The process's whole life."""
    if sys.platform != "win32":
        os.setsid()  # so that neither the terminal nor a signal to the command's group reaches it
    for number in _KEPT_OFF:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _KEPT_OFF)
    show_any_name()
    Thread(target=_follow_orders, args=(orders,), daemon=True).start()
    try:
        code = work()
    except (ValueError, OSError) as exc:
        code = early_exit_code(exc)
    sys.exit(code)


def _follow_orders(orders: Connection) -> None:
    """End the work when the command says so, or is gone."""
    _await_word(orders)
    _end_work()
    _await_word(orders)  # the command may be killed while the work is ending


def _await_word(orders: Connection) -> None:
    """Wait until the command says something, or is gone."""
    try:
        orders.recv()
    except EOFError:
        _silence_output()


def _end_work() -> None:
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)
    else:
        # Only in its own thread does a signal wake the loop.
        signal.pthread_kill(main_thread().ident or 0, signal.SIGTERM)


def _silence_output() -> None:
    """The terminal belongs to others now."""
    show_cursor()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
