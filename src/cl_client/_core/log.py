"""Loggers whose records carry the id of their job: a log format can use ``%(job_id)s``."""

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
    """Get a logger whose records have a ``job_id``.

    Args:
        name: Name of the logger, for instance ``"cl_client.http"``.

    Returns:
        The logger. The ``job_id`` of its records is empty if they are not about a job.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_add_job_id)
    return logger


@contextlib.contextmanager
def about_job(job_id: str) -> Generator[None]:
    """Set the ``job_id`` of everything that is logged in the context.

    Args:
        job_id: Id of the job.

    Yields:
        Nothing. The context may be left in a different task from the one that entered it.
    """
    token = _current_job.set(job_id)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # left in another context, which has nothing to restore
            _current_job.reset(token)


def _add_job_id(record: logging.LogRecord) -> bool:
    if not hasattr(record, "job_id"):
        record.job_id = _current_job.get()
    return True
