"""What the exit codes of `cl-client` mean."""

from __future__ import annotations

from typing import Final

SOME_FAILED: Final = 1
WRONG_USE: Final = 2
SERVER_UNREACHABLE: Final = 3
NOT_ALLOWED: Final = 4
INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as shells have it."""

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 all well, 1 some jobs failed, 2 wrong use, 3 server unreachable, 4 not allowed, "
    "130 interrupted."
)
