"""Loggers whose every record says which job it is about: a format may use ``%(job_id)s``."""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_NO_JOB = ""

_current_job: ContextVar[str] = ContextVar("cl_client_job_id", default=_NO_JOB)


def get_logger(name: str) -> logging.Logger:
    """The logger of a part of this library; its records have a ``job_id``, empty where there is none."""
    logger = logging.getLogger(name)
    logger.addFilter(_add_job_id)
    return logger


@contextlib.contextmanager
def about_job(job_id: str) -> Generator[None]:
    """What is logged inside is about that job; it may be left in another task than it was entered in."""
    token = _current_job.set(job_id)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # in another context, in which there is nothing to put back
            _current_job.reset(token)


def _add_job_id(record: logging.LogRecord) -> bool:
    if not hasattr(record, "job_id"):
        record.job_id = _current_job.get()
    return True
