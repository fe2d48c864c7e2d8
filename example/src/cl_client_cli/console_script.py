"""Where the process `cl-client` begins, which Ctrl-C ends without a traceback from its first import on."""

from __future__ import annotations

import signal
import sys

_INTERRUPTED = 130
"""As in `cl_client_cli.frame.exit_codes`, which may not have been imported yet."""


def run() -> None:
    """Run the command line, and end with its exit code."""
    try:
        from cl_client_cli.frame.process_start import open_closed_streams

        open_closed_streams()
        from cl_client_cli.main import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("cl-client: interrupted.\n")
        sys.exit(_INTERRUPTED)
    finally:
        # What the interpreter still has to tidy up would be interrupted with a traceback.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
