"""A Mosquitto broker for benchmarks."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from support import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Generator

BROKER = "mosquitto"


@contextmanager
def mosquitto() -> Generator[Mosquitto]:
    """Run a broker while the context is open; it may be killed and restarted in between.

    Yields:
        The broker.

    Raises:
        SystemExit: Mosquitto is not installed.
    """
    program = shutil.which(BROKER, path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")
    if program is None:
        raise SystemExit(f"{BROKER} not found: install it, or run only benchmarks that do not need it")
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(program, Path(folder), "allow_anonymous true\nset_tcp_nodelay true")
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
