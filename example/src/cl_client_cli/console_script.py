"""Entry point of the process `cl-client`; Ctrl-C ends it without a traceback, even while it imports."""

from __future__ import annotations

import gc
import signal
import sys

_INTERRUPTED = 130
"""The same as in `cl_client_cli.frame.exit_codes`, which may not have been imported yet."""

_NEW_OBJECTS = 50_000
"""How many make Python look for unreachable ones. With its 700, imports alone cause 200 searches, which find
nothing and take a tenth of a short command's time."""


def run() -> None:
    """Run the command line, and exit with its exit code."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        from cl_client_cli.frame.process_start import open_closed_streams

        open_closed_streams()
        from cl_client_cli.main import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("cl-client: interrupted.\n")
        sys.exit(_INTERRUPTED)
    finally:
        # Spares the interpreter's last search, which takes 0.1 s just before all memory is freed.
        gc.freeze()
        # Ctrl-C during the interpreter's own cleanup would print a traceback.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
