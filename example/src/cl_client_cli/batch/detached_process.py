"""Runs work in a process that outlives the command as long as it needs to end properly.

Whatever ends the command, such as `kill -9`, a closed terminal or a second Ctrl-C, the work is asked to end,
and stops in a state from which it can continue: a job that the server has just accepted is recorded.
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
"""The signals that a terminal sends to all its processes."""


def run_detached(work: Callable[[], int], *, resume_hint: str = "") -> int:
    """Run work in a separate process, to its end.

    The first signal that would end the command asks the work to end; the second one ends the command, and the
    work ends on its own.

    Args:
        work: Returns the exit code. It must be picklable, and end properly on `signal.SIGTERM`.
        resume_hint: What to print after the message if somebody kills that process.

    Returns:
        The exit code.
    """
    context = multiprocessing.get_context("spawn")
    orders, to_work = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, orders))
    asked = False

    def ask_to_end() -> None:
        nonlocal asked
        asked = True
        with suppress(BrokenPipeError):  # the work has just ended
            to_work.send("end")

    with to_work, ending_signals(ask_to_end):
        with _signals_blocked():
            process.start()
        orders.close()
        while process.is_alive():
            process.join(_LOOK_INTERVAL)  # repeatedly, because on Windows no signal interrupts it
    code = process.exitcode
    if code is not None and code >= 0:
        return code
    if asked:  # the work had not started
        Terminal.make().error(f"interrupted. {resume_hint}".rstrip())
        return INTERRUPTED
    Terminal.make().error(f"the worker process was killed by signal {-(code or 0)}. {resume_hint}".rstrip())
    return SOME_FAILED


@contextmanager
def _signals_blocked() -> Generator[None]:
    """Start processes in this context with a terminal's signals blocked; they unblock them when ready."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # otherwise it starts with the process, and unblocks all signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _KEPT_OFF)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(work: Callable[[], int], orders: Connection) -> None:
    """The main function of the process."""
    if sys.platform != "win32":
        os.setsid()  # so that no signal of the terminal or to the command's process group reaches it
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
    """End the work when the command asks for it, or has died."""
    _await_word(orders)
    _end_work()
    _await_word(orders)  # the command may be killed while the work is ending


def _await_word(orders: Connection) -> None:
    """Wait until the command sends something, or has died."""
    try:
        orders.recv()
    except EOFError:
        _silence_output()


def _end_work() -> None:
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)
    else:
        # Only a signal to the main thread wakes the loop.
        signal.pthread_kill(main_thread().ident or 0, signal.SIGTERM)


def _silence_output() -> None:
    """Print nothing more: the terminal is used by others now."""
    show_cursor()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
