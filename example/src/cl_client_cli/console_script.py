"""Entry point of the process `cl-client`; Ctrl-C ends it without a traceback, even while it imports."""

from __future__ import annotations

import signal
import sys

_INTERRUPTED = 130
"""The same as in `cl_client_cli.frame.exit_codes`, which may not have been imported yet."""


def run() -> None:
    """Run the command line, and exit with its exit code."""
    try:
        from cl_client_cli.frame.process_start import open_closed_streams

        open_closed_streams()
        from cl_client_cli.main import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("cl-client: interrupted.\n")
        sys.exit(_INTERRUPTED)
    finally:
        # Ctrl-C during the interpreter's own cleanup would print a traceback.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
