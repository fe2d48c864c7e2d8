"""All errors of this library; each is a `ComputeClientError`.

A response with an error status is also an `httpx.HTTPStatusError`, and a failed connection is also an
`httpx.TransportError`, so that existing ``except`` clauses keep working.
"""

from cl_client._errors import (
    ClientClosedError,
    ComputeClientError,
    ConfigurationError,
    DestinationExistsError,
    FileWriteError,
    InvalidParameterError,
    InvalidResponseError,
    InvalidTokenError,
    JobFilesError,
    MissingExtraError,
    ServerPathRefusedError,
    UnknownTaskError,
    UploadNotRepeatableError,
    WorkerUnavailableError,
)
from cl_client._http_errors import (
    AuthenticationError,
    HTTPError,
    InvalidRequestError,
    JobFileNotFoundError,
    JobNotFoundError,
    PermissionDeniedError,
    RequestTimeoutError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)
from cl_client.models import JobError, JobFailedError, JobNotFinishedError, JobTimeoutError

__all__ = [
    "AuthenticationError",
    "ClientClosedError",
    "ComputeClientError",
    "ConfigurationError",
    "DestinationExistsError",
    "FileWriteError",
    "HTTPError",
    "InvalidParameterError",
    "InvalidRequestError",
    "InvalidResponseError",
    "InvalidTokenError",
    "JobError",
    "JobFailedError",
    "JobFileNotFoundError",
    "JobFilesError",
    "JobNotFinishedError",
    "JobNotFoundError",
    "JobTimeoutError",
    "MissingExtraError",
    "PermissionDeniedError",
    "RequestTimeoutError",
    "ServerBusyError",
    "ServerError",
    "ServerPathRefusedError",
    "ServerUnavailableError",
    "UnknownTaskError",
    "UploadNotRepeatableError",
    "WorkerUnavailableError",
]
