"""How signals end a command: the first one lets it clean up, the second one ends it immediately."""

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
"""The signals that ask a process to end, as far as the platform has them."""
_SLOW_SECONDS: Final = 1.0
_SHOW_CURSOR: Final = "\x1b[?25h"
_TERMINAL: Final = 0
"""The file descriptor of standard input; a process may have none."""


def run_interruptible(main: Coroutine[object, object, ResultT], on_slow_end: Callable[[], object]) -> ResultT:
    """Run a coroutine; Ctrl-C or another ending signal cancels it and lets it clean up.

    A second signal ends the process immediately.

    Args:
        main: The coroutine.
        on_slow_end: Called if the cleanup takes longer than a second.

    Returns:
        The result of the coroutine.

    Raises:
        KeyboardInterrupt: The coroutine was interrupted, and has cleaned up.
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
    """Wake the loop at each signal: Python runs no signal handler while the loop waits.

    A signal interrupts that wait, unless it arrives just before it, or in another thread.
    """
    if sys.platform == "win32":  # asyncio does this itself there
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
    """Call back at the first signal that would end the process; the second one ends it immediately.

    Args:
        cancel: Called in the signal handler.

    Yields:
        Nothing; afterwards the previous handlers are restored.
    """
    asked = False
    restore_terminal = _terminal_restorer()

    def handle(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            restore_terminal()
            _end_at_once()
        asked = True
        cancel()

    # Signals that the parent process ignores, for instance nohup, stay ignored.
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
    """A function that restores the terminal's current attributes, such as echo."""
    if sys.platform == "win32" or not os.isatty(_TERMINAL):
        return _nothing
    import termios

    attributes = termios.tcgetattr(_TERMINAL)

    def restore() -> None:
        # In the background, changing the terminal would stop this process (SIGTTOU).
        if os.tcgetpgrp(_TERMINAL) == os.getpgrp() and termios.tcgetattr(_TERMINAL) != attributes:
            termios.tcsetattr(_TERMINAL, termios.TCSANOW, attributes)

    return restore


def _nothing() -> None:
    """Do nothing: there is no terminal."""


def _end_at_once() -> None:
    """End the process, with only the cleanup that takes no time."""
    show_cursor()
    remove_temporary_folders()
    os._exit(INTERRUPTED)


def show_cursor() -> None:
    """Show the cursor again after a live display has hidden it."""
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
