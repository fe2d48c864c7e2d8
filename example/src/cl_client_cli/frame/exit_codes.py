"""The exit codes of `cl-client`."""

from __future__ import annotations

from typing import Final

SOME_FAILED: Final = 1
WRONG_USE: Final = 2
SERVER_UNREACHABLE: Final = 3
NOT_ALLOWED: Final = 4
INTERRUPTED: Final = 130
"""128 plus the number of SIGINT, as in shells."""

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 success, 1 failed jobs, 2 usage error, 3 server unreachable, 4 permission denied, "
    "130 interrupted."
)
