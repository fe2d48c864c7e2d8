"""How a file is opened whose path comes from outside."""

from __future__ import annotations

import os
from typing import Final

READ_NAMED_FILE: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO would block
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
"""Reading, without following a link; Windows has only the last of these flags."""
