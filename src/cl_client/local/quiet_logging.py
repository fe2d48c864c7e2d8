"""Keeps the libraries underneath from talking on the caller's log while a server runs."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

# amqtt warns of every client that tries MQTT 5 first or hangs up without a word; both are daily business.
_LEVELS = {
    "aiosqlite": logging.INFO,
    "amqtt": logging.CRITICAL,
    "transitions": logging.ERROR,
    "uvicorn.error": logging.WARNING,
}


@contextmanager
def quiet_libraries() -> Generator[None]:
    """Raise the level of the loggers whose level nobody has chosen, and put it back afterwards."""
    changed = [
        (logger, level)
        for logger, level in ((logging.getLogger(name), level) for name, level in _LEVELS.items())
        if logger.level == logging.NOTSET
    ]
    for logger, level in changed:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, _ in changed:
            logger.setLevel(logging.NOTSET)
