"""How a command ends when it is asked to: cleanly at the first signal, on the spot at the second."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from cl_client_cli.frame.exit_codes import INTERRUPTED
from cl_client_cli.frame.temporary_folders import remove_temporary_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

ResultT = TypeVar("ResultT")

ENDING_SIGNALS: Final = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if name in signal.Signals.__members__
)
"""The signals by which a process is asked to end, as far as the platform has them."""
_SLOW_SECONDS: Final = 1.0
_SHOW_CURSOR: Final = "\x1b[?25h"
_TERMINAL: Final = 0
"""Standard input, by its number: a process may have none."""


def run_interruptible(main: Coroutine[object, object, ResultT], on_slow_end: Callable[[], object]) -> ResultT:
    """Run a coroutine so that Ctrl-C and every polite request to end cancel it and let it clean up.

    A second request ends the process at once, whatever it is at.

    Args:
        main: The coroutine.
        on_slow_end: Called where it takes a while to clean up.

    Raises:
        KeyboardInterrupt: It was interrupted, and has cleaned up.
    """
    try:
        return asyncio.run(_cancelled_by_signals(main, on_slow_end))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _cancelled_by_signals(
    main: Coroutine[object, object, ResultT], on_slow_end: Callable[[], object]
) -> ResultT:
    loop, running = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        loop.call_later(_SLOW_SECONDS, on_slow_end)
        if running is not None:
            running.cancel()

    with _woken_by_signals(loop), ending_signals(lambda: loop.call_soon_threadsafe(cancel)):
        return await main


@contextmanager
def _woken_by_signals(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Wake the loop at each signal: Python runs no handler while the loop waits for something else.

    A signal interrupts that wait, unless it comes just before it, or another thread takes it.
    """
    if sys.platform == "win32":  # asyncio does it there
        yield
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        for end in (reader, writer):
            end.settimeout(0)
        loop.add_reader(reader, reader.recv, 4096)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)


@contextmanager
def ending_signals(cancel: Callable[[], object]) -> Generator[None]:
    """Call back at the first of the signals that would end the process; the second ends it at once."""
    asked = False
    restore_terminal = _terminal_restorer()

    def handle(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            restore_terminal()
            _end_at_once()
        asked = True
        cancel()

    # What the parent process chose to ignore, for instance with nohup, stays ignored.
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    changed = {number: was for number, was in before.items() if was not in {signal.SIG_IGN, None}}
    for number in changed:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, was in changed.items():
            signal.signal(number, was)


def _terminal_restorer() -> Callable[[], None]:
    """What gives the terminal its present attributes back, such as an echo."""
    if sys.platform == "win32" or not os.isatty(_TERMINAL):
        return _nothing
    import termios

    attributes = termios.tcgetattr(_TERMINAL)

    def restore() -> None:
        # Another process's terminal is left alone: to change it would stop this one.
        if os.tcgetpgrp(_TERMINAL) == os.getpgrp() and termios.tcgetattr(_TERMINAL) != attributes:
            termios.tcsetattr(_TERMINAL, termios.TCSANOW, attributes)

    return restore


def _nothing() -> None:
    """There is no terminal."""


def _end_at_once() -> None:
    """Leave without more cleaning up than what costs no time."""
    show_cursor()
    remove_temporary_folders()
    os._exit(INTERRUPTED)


def show_cursor() -> None:
    """Show the cursor again that a live display had hidden."""
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
