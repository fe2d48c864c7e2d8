"""The errors of HTTP requests; `cl_client.exceptions` has all errors.

A response with an error status is also an `httpx.HTTPStatusError`, and a failed connection is also an
`httpx.TransportError`, so that existing ``except`` clauses keep working. The other errors are in a module
without httpx, for which a local server's workers have no use.
"""

from __future__ import annotations

import httpx

from cl_client._errors import ComputeClientError


class ServerUnavailableError(ComputeClientError, httpx.TransportError):
    """The server is unreachable: connection refused or reset, host not found, or a proxy failed.

    Attributes:
        may_have_been_accepted: Whether the server may have accepted the request, for instance a job, although
            its response was lost. False if that is impossible: there was no connection, or the end of the
            file was not sent. Such a submit can be repeated without creating a second job.
    """

    may_have_been_accepted: bool = True


class RequestTimeoutError(ServerUnavailableError, TimeoutError):
    """A request, or a whole call including its retries, timed out; the message says which."""


class HTTPError(ComputeClientError, httpx.HTTPStatusError):
    """The server answered with an error status.

    Attributes:
        status_code: The HTTP status.
        detail: The server's error message, or its status line if there is none.
    """

    def __init__(self, message: str, *, response: httpx.Response, detail: str) -> None:
        """Keep the request and the response, as httpx does."""
        super().__init__(message, request=response.request, response=response)
        self.status_code = response.status_code
        self.detail = detail


class InvalidRequestError(HTTPError):
    """400, 422 and other rejected requests; the message names the field and the server's reason."""


class JobNotFoundError(HTTPError):
    """404 for a job: not found, because it never existed or was deleted."""


class JobFileNotFoundError(HTTPError):
    """404 for a file of a job: the job exists, but the file was not found."""


class AuthenticationError(HTTPError):
    """401: credentials are missing, invalid or expired."""


class PermissionDeniedError(HTTPError):
    """403: the credentials do not allow this."""


class ServerBusyError(HTTPError):
    """429 or 503: the server is busy; try again later.

    Attributes:
        retry_after: Seconds that the server asked to wait, or None if it did not say.
    """

    def __init__(
        self, message: str, *, response: httpx.Response, detail: str, retry_after: float | None = None
    ) -> None:
        """Keep the pause that the server asked for."""
        super().__init__(message, response=response, detail=detail)
        self.retry_after = retry_after


class ServerError(HTTPError):
    """Any other 5xx status."""
