"""The terminal that the commands talk to: its consoles, and the signals that end a command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.text import Text
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Coroutine

ResultT = TypeVar("ResultT")

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

_PIPED_WIDTH = 200
_ENDING_SIGNALS = ("SIGTERM", "SIGHUP", "SIGBREAK")


class _EnduringConsole(Console):
    """A console whose reader may leave: the work goes on to its end, without output."""

    @override
    def on_broken_pipe(self) -> None:
        with suppress(SystemExit):
            super().on_broken_pipe()


def make_console() -> Console:
    """A console on standard output; into a pipe it writes plain lines that are not cut to 80 columns."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return _EnduringConsole(width=_PIPED_WIDTH if piped else None, highlight=False)


def print_error(message: str) -> None:
    """Say on standard error what went wrong, in one line."""
    Console(stderr=True, highlight=False).print(Text(f"cl-client: {message}", style="red"), soft_wrap=True)


def run_interruptible(main: Coroutine[object, object, ResultT]) -> ResultT:
    """Run a coroutine so that Ctrl-C and every polite request to end cancel it and let it clean up.

    Raises:
        KeyboardInterrupt: It was interrupted, and has cleaned up.
    """
    try:
        return asyncio.run(_cancelled_by_signals(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _cancelled_by_signals(main: Coroutine[object, object, ResultT]) -> ResultT:
    """Have the signals that would end the process on the spot cancel a coroutine, as SIGINT does anyway."""
    loop, running = asyncio.get_running_loop(), asyncio.current_task()

    def cancel(_number: int, _frame: object) -> None:
        if running is not None and not running.cancelling():
            loop.call_soon_threadsafe(running.cancel)

    numbers = [signal.Signals[name] for name in _ENDING_SIGNALS if name in signal.Signals.__members__]
    # What the parent process chose to ignore, for instance with nohup, stays ignored.
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, cancel)
    try:
        return await main
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
