"""What every process of the command line begins with, and how it ends if its work cannot even begin."""

from __future__ import annotations

import io
import sys

from cl_client_cli.frame.exit_codes import INTERRUPTED, SOME_FAILED, WRONG_USE
from cl_client_cli.frame.usage import UsageError


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
