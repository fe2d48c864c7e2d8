"""A Mosquitto, the broker of the field."""

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
    """A broker that runs while the context is open; it may be killed and started again meanwhile."""
    program = shutil.which(BROKER, path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")
    if program is None:
        raise SystemExit(f"This benchmark needs {BROKER}: install it, or name the other benchmarks to run")
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(program, Path(folder), "allow_anonymous true\nset_tcp_nodelay true")
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
