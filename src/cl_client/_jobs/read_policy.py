"""Failed reads: what an error means for the job, and how often it is logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from cl_client._core.log import get_logger
from cl_client._errors import ComputeClientError, InvalidResponseError
from cl_client._http.retries import RETRYABLE_STATUSES
from cl_client._http_errors import (
    AuthenticationError,
    InvalidRequestError,
    JobNotFoundError,
    PermissionDeniedError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)

if TYPE_CHECKING:
    from cl_client.models import JobResponse

logger = get_logger("cl_client.jobs")

MAX_BAD_READS: Final = 10
"""This many failures of one kind in a row are treated as permanent; fewer may be temporary.

A proxy whose server is down answers for a while with something that is not a job; a wrong address does so
forever. A refusal may end as soon as the application has a new token. With the default intervals ten reads
take half a minute without push, and up to 90 seconds with push.
"""

_NOT_FOUND: Final = 404
_MAX_UNKNOWN_WORDS: Final = 16


def is_refusal(error: Exception) -> bool:
    """Check whether the server refuses the read or does not have the job, so that repeating rarely helps.

    Args:
        error: The error of a read.

    Returns:
        True for a refusal.
    """
    if isinstance(error, InvalidRequestError):
        return error.status_code not in {_NOT_FOUND, *RETRYABLE_STATUSES}
    return isinstance(error, JobNotFoundError | AuthenticationError | PermissionDeniedError)


def is_no_job(error: Exception) -> bool:
    """Check whether the response was not a job, or an auth provider failed.

    Args:
        error: The error of a read.

    Returns:
        True if the server at this address may not be a compute service.
    """
    if isinstance(error, InvalidRequestError):
        return error.status_code == _NOT_FOUND
    return isinstance(error, InvalidResponseError) or not isinstance(error, ComputeClientError)


def never_arrived(error: Exception) -> bool:
    """Check whether there was no connection, so that reads of other jobs would fail too.

    Args:
        error: The error of a read.

    Returns:
        True if the request did not reach the server.
    """
    return isinstance(error, ServerUnavailableError) and not error.may_have_been_accepted


class ReadErrorLog:
    """Logs a problem with reads once, and its end once, for any number of jobs."""

    def __init__(self) -> None:
        self._without_server: set[str] = set()
        self._unreadable: set[str] = set()
        self._unknown_words: set[str] = set()

    def note(self, job_id: str, error: Exception) -> None:
        """Log that a job could not be read.

        Args:
            job_id: The job.
            error: The error of the read.
        """
        of_the_server = isinstance(error, ServerUnavailableError | ServerBusyError | ServerError)
        troubled = self._without_server if of_the_server else self._unreadable
        level = logging.DEBUG if troubled else logging.WARNING
        troubled.add(job_id)
        logger.log(
            level,
            "job %s, and perhaps others, cannot be read: %s",
            job_id,
            error,
            # An error from outside this library needs its traceback.
            exc_info=None if isinstance(error, ComputeClientError) else error,
            extra={"job_id": job_id},
        )

    def warn_unknown_status(self, job: JobResponse) -> None:
        """Log an unknown status, once per status.

        Args:
            job: The job with that status.
        """
        if job.raw_status not in self._unknown_words and len(self._unknown_words) < _MAX_UNKNOWN_WORDS:
            self._unknown_words.add(job.raw_status)
            logger.warning(
                "job %s has the status %r, unknown to this version: it is treated as not ended",
                job.job_id,
                job.raw_status,
                extra={"job_id": job.job_id},
            )

    def forget(self, job_id: str, *, was_read: bool = False) -> None:
        """Forget the problems of a job that was read again or is no longer followed.

        Args:
            job_id: The job.
            was_read: Whether it was read again.
        """
        if job_id in self._without_server:
            self._without_server.discard(job_id)
            if was_read and not self._without_server:
                logger.info("the server is back: all followed jobs can be read again")
        self._unreadable.discard(job_id)
