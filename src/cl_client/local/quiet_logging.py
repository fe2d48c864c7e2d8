"""Keeps the messages of underlying libraries out of the caller's log while a server runs."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

# amqtt warns about every client that tries MQTT 5 first or disconnects without DISCONNECT; both are normal.
_LEVELS = {
    "aiosqlite": logging.INFO,
    "amqtt": logging.CRITICAL,
    "transitions": logging.ERROR,
    "uvicorn.error": logging.WARNING,
}


@contextmanager
def quiet_libraries() -> Generator[None]:
    """Raise the level of those loggers that have none, and reset it afterwards.

    Yields:
        Nothing.
    """
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
