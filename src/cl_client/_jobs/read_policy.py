"""Reads that fail: what their errors mean for the job, and how much of them is said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from cl_client._core.log import get_logger
from cl_client._errors import (
    AuthenticationError,
    ComputeClientError,
    InvalidRequestError,
    InvalidResponseError,
    JobNotFoundError,
    PermissionDeniedError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)
from cl_client._http.retries import RETRYABLE_STATUSES

if TYPE_CHECKING:
    from cl_client.models import JobResponse

logger = get_logger("cl_client.jobs")

MAX_BAD_READS: Final = 10
"""So many failures in a row of one kind are taken for the last word, where a single one is not.

Something in between, such as a proxy without its server, answers for a while with what is no job; a wrong
address for ever. A refusal may be over as soon as the application has a new token. With the default intervals
ten reads take half a minute without push, and up to a minute and a half with it.
"""

_NOT_FOUND: Final = 404
_MAX_UNKNOWN_WORDS: Final = 16


def is_refusal(error: Exception) -> bool:
    """Whether the server does not want to tell, or has no such job: repeating the read will hardly help."""
    if isinstance(error, InvalidRequestError):
        return error.status_code not in {_NOT_FOUND, *RETRYABLE_STATUSES}
    return isinstance(error, JobNotFoundError | AuthenticationError | PermissionDeniedError)


def is_no_job(error: Exception) -> bool:
    """Whether something else answered than a server that knows jobs, or an auth provider has a fault."""
    if isinstance(error, InvalidRequestError):
        return error.status_code == _NOT_FOUND
    return isinstance(error, InvalidResponseError) or not isinstance(error, ComputeClientError)


def never_arrived(error: Exception) -> bool:
    """Whether there was no connection, so that the read of any other job would fail just so."""
    return isinstance(error, ServerUnavailableError) and not error.may_have_been_accepted


class ReadErrorLog:
    """Says once what is wrong with reads, and once that it is over, however many jobs there are."""

    def __init__(self) -> None:
        self._without_server: set[str] = set()
        self._unreadable: set[str] = set()
        self._unknown_words: set[str] = set()

    def note(self, job_id: str, error: Exception) -> None:
        """A job could not be read."""
        of_the_server = isinstance(error, ServerUnavailableError | ServerBusyError | ServerError)
        troubled = self._without_server if of_the_server else self._unreadable
        level = logging.DEBUG if troubled else logging.WARNING
        troubled.add(job_id)
        logger.log(
            level,
            "job %s, and perhaps others, cannot be read: %s",
            job_id,
            error,
            # What is not of this library's own making says little without its place.
            exc_info=None if isinstance(error, ComputeClientError) else error,
            extra={"job_id": job_id},
        )

    def warn_unknown_status(self, job: JobResponse) -> None:
        """A job has a status that has no meaning here."""
        if job.raw_status not in self._unknown_words and len(self._unknown_words) < _MAX_UNKNOWN_WORDS:
            self._unknown_words.add(job.raw_status)
            logger.warning(
                "job %s has the status %r, unknown to this version: it is taken for one that goes on",
                job.job_id,
                job.raw_status,
                extra={"job_id": job.job_id},
            )

    def forget(self, job_id: str, *, was_read: bool = False) -> None:
        """A job was read again, or is followed no longer."""
        if job_id in self._without_server:
            self._without_server.discard(job_id)
            if was_read and not self._without_server:
                logger.info("the server is back: all jobs that are followed can be read again")
        self._unreadable.discard(job_id)
