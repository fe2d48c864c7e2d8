"""How every process of the command line starts, and how it ends if its work cannot start."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, cast

from cl_client_cli.frame.exit_codes import INTERRUPTED, SOME_FAILED, WRONG_USE
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from typing import TextIO


def open_closed_streams() -> None:
    """Open standard streams that the shell has closed on the null device, so no file takes their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system assigns the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it takes no keyword
    if cast("TextIO | None", sys.stdout) is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if cast("TextIO | None", sys.stderr) is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def standard_input() -> TextIO:
    """Get standard input for reading.

    Returns:
        The stream.

    Raises:
        UsageError: Standard input is closed.
    """
    stream = cast("TextIO | None", sys.stdin)
    if stream is None:
        raise UsageError("standard input is closed: pipe the input into the command")
    return stream


def show_any_name() -> None:
    """Let standard output and error print any file name, with escapes for what their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def early_exit_code(error: Exception) -> int:
    """Print an error that ended a command before its actual work.

    Args:
        error: The error.

    Returns:
        The exit code.

    Raises:
        Exception: The error itself, if it is a bug rather than a wrong argument, setting or file.
    """
    from cl_client.exceptions import ConfigurationError
    from cl_client_cli.frame.terminal import Terminal

    if not isinstance(error, UsageError | ConfigurationError | OSError):
        raise error
    Terminal.make().error(str(error))
    return SOME_FAILED if isinstance(error, OSError) else WRONG_USE


def early_interruption() -> int:
    """Print that a command was interrupted before its actual work.

    Returns:
        The exit code.
    """
    from cl_client_cli.frame.terminal import Terminal

    Terminal.make().error("interrupted.")
    return INTERRUPTED
