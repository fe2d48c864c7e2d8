"""What every process of the command line begins with, and how it ends if its work cannot even begin."""

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
    """Let what is written to an output that the shell has closed go nowhere, and no file take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is taken, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it takes no keyword
    if cast("TextIO | None", sys.stdout) is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if cast("TextIO | None", sys.stderr) is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def standard_input() -> TextIO:
    """Standard input, to be read from.

    Raises:
        UsageError: It is closed.
    """
    stream = cast("TextIO | None", sys.stdin)
    if stream is None:
        raise UsageError("standard input is closed, and there is nothing to read from it: pipe something in")
    return stream


def show_any_name() -> None:
    """Let standard output and error show a file's name also where their encoding has no letters for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def early_exit_code(error: Exception) -> int:
    """Say what was wrong before a command's real work began; an error of the program itself is raised."""
    from cl_client.exceptions import ConfigurationError
    from cl_client_cli.frame.terminal import Terminal

    if not isinstance(error, UsageError | ConfigurationError | OSError):
        raise error
    Terminal.make().error(str(error))
    return SOME_FAILED if isinstance(error, OSError) else WRONG_USE


def early_interruption() -> int:
    """Say that a command was interrupted before its real work began."""
    from cl_client_cli.frame.terminal import Terminal

    Terminal.make().error("interrupted.")
    return INTERRUPTED
