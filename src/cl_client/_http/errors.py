"""Converts httpx's errors and the server's error responses to the errors of this library."""

from __future__ import annotations

import contextlib
import re
from enum import Enum, auto
from typing import Final

import httpx
import idna
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cl_client._core.certificates import certificate_problem
from cl_client._errors import ComputeClientError, InvalidResponseError
from cl_client._http.retries import retry_after
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
from cl_client._transfers.body import BodyReader

_MAX_DETAIL = 500
_MAX_ERROR_BYTES = 64 * 1024
_BODY_HEADERS = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})

_BY_STATUS: dict[int, type[HTTPError]] = {401: AuthenticationError, 403: PermissionDeniedError}
_BUSY = frozenset({429, 503})
_NOT_FOUND = 404
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Errors before a connection to the server. httpcore raises ProxyError only if a proxy cannot open one."""
_FIRST_SERVER_ERROR = 500
_UNKNOWN_ROUTE: Final = "Not Found"
"""FastAPI's message for an unknown path: the ``base_url`` is wrong, and it says nothing about a job."""
_NO_SUCH_JOB: Final = re.compile(r"Job .+ not found", re.DOTALL)


class Asked(Enum):
    """What a request is about. It decides what a 404 means."""

    JOB = auto()
    FILE = auto()
    """A file of a job."""
    OTHER = auto()


class _Problem(BaseModel):
    """An entry of a 422's ``detail``."""

    model_config = ConfigDict(extra="ignore")

    loc: tuple[str | int, ...] = ()
    msg: str = ""


class _ErrorBody(BaseModel):
    """``{"detail": ...}`` as FastAPI sends it."""

    model_config = ConfigDict(extra="ignore")

    detail: str | list[_Problem]


_ERROR_BODY = TypeAdapter(_ErrorBody)


def translated(exc: Exception, base_url: str, request: httpx.Request) -> Exception:
    """Convert an error of httpx to one of this library.

    Args:
        exc: The error.
        base_url: URL of the service, for the message.
        request: The request that failed.

    Returns:
        The error of this library; ``exc`` itself if it is not an error of httpx.
    """
    if isinstance(exc, ComputeClientError):  # some are also httpx errors, for instance those of a login
        return exc
    if isinstance(exc, httpx.TooManyRedirects):
        return InvalidResponseError(f"{base_url}: too many redirects; set base_url to the service's own URL")
    if isinstance(exc, httpx.InvalidURL | idna.IDNAError):  # from a Location: base_url was checked before
        return InvalidResponseError(
            f"{base_url} redirects to an invalid URL: {exc}; set base_url to the service's own URL"
        )
    if isinstance(exc, httpx.LocalProtocolError) and not _is_of_http2(exc):
        _forget_text(exc)
        return ComputeClientError(
            f"A request to {base_url} is invalid HTTP: check its headers for line breaks and trailing spaces"
        )
    if isinstance(exc, httpx.TransportError):
        error = _unavailable(base_url, exc)
        error.may_have_been_accepted = not isinstance(exc, _NEVER_SENT)
        error.request = request
        return error
    return exc


def _unavailable(base_url: str, exc: httpx.TransportError) -> ServerUnavailableError:
    if isinstance(exc, httpx.PoolTimeout):
        return RequestTimeoutError(f"Waiting for a free connection to {base_url} timed out")
    if isinstance(exc, httpx.ConnectTimeout):
        return RequestTimeoutError(f"Connecting to {base_url} timed out")
    if isinstance(exc, httpx.TimeoutException):
        what = "Sending a request to" if isinstance(exc, httpx.WriteTimeout) else "Waiting for an answer from"
        return RequestTimeoutError(
            f"{what} {base_url} timed out; if the server is just slow, increase `timeout` "
            "(CL_CLIENT_TIMEOUT in the environment)"
        )
    if not isinstance(exc, httpx.ConnectError):
        return ServerUnavailableError(f"Lost the connection to {base_url}: {str(exc) or type(exc).__name__}")
    if (problem := certificate_problem(exc)) is None:
        return ServerUnavailableError(f"Cannot connect to {base_url}: {exc}. Is the server running?")
    return ServerUnavailableError(
        f"The certificate of {base_url} is not trusted: {problem}. If it is the server's own, set ca_file to "
        "the certificate authority that signed it; otherwise the connection may be intercepted"
    )


def _is_of_http2(exc: BaseException) -> bool:
    """Check whether an HTTP/2 connection could not take a request, for instance because it was closing."""
    error: BaseException | None = exc
    while error is not None and not type(error).__module__.startswith("h2."):
        error = error.__cause__ or error.__context__
    return error is not None


def _forget_text(exc: BaseException) -> None:
    """Clear the messages of an error and its causes, since h11 quotes the request, which may be secret."""
    error: BaseException | None = exc
    while error is not None:
        error.args = ()
        error = error.__cause__ or error.__context__


async def read_error(response: httpx.Response) -> httpx.Response:
    """Read the body of an error response.

    Args:
        response: Response whose body was not read yet.

    Returns:
        A copy with the decoded body: at most about 64 KiB, and only what arrived before an error.
    """
    body = bytearray()
    # A server that rejects an upload may close the connection at once: the status is what matters.
    with contextlib.suppress(httpx.TransportError, InvalidResponseError):
        reader = BodyReader("an error", response)
        try:
            async for block in reader:
                body += block
                if len(body) > _MAX_ERROR_BYTES:
                    break
        finally:
            await reader.aclose()
    return with_content(response, bytes(body))


def with_content(response: httpx.Response, content: bytes) -> httpx.Response:
    """Copy a response with a different body.

    Args:
        response: Source of status, headers and request.
        content: Decoded body.

    Returns:
        A response that was read already.
    """
    # Raw headers, since httpx rejects non-ASCII text as a header, even text that it decoded itself.
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _BODY_HEADERS]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=content,
        request=response.request,
        extensions=response.extensions,
    )


def detail_of(response: httpx.Response) -> str:
    """Get the server's error message.

    Args:
        response: Error response that was read.

    Returns:
        The service's ``detail``, at most 500 characters; the status line if there is none.
    """
    return _own_words(response) or f"{response.status_code} {response.reason_phrase}".strip()


def _own_words(response: httpx.Response) -> str:
    """Get the error message of the service itself, as opposed to a proxy's; empty if there is none."""
    try:
        detail = _ERROR_BODY.validate_json(response.content).detail
    except (ValidationError, httpx.ResponseNotRead):
        return ""
    if isinstance(detail, str):
        return detail[:_MAX_DETAIL]
    return "; ".join(f"{'.'.join(map(str, p.loc[1:] or p.loc))}: {p.msg}" for p in detail)[:_MAX_DETAIL]


def says_missing(response: httpx.Response) -> bool:
    """Check whether the service itself answered that something was not found.

    Args:
        response: Error response that was read.

    Returns:
        Whether it is a 404 of the service; a 404 of a proxy proves nothing.
    """
    return response.status_code == _NOT_FOUND and _own_words(response) not in {"", _UNKNOWN_ROUTE}


def error_for(response: httpx.Response, asked: Asked = Asked.OTHER) -> HTTPError:
    """Convert an error response to an error of this library.

    Args:
        response: Error response that was read.
        asked: What the request was about.

    Returns:
        The error; its class depends on the status.
    """
    status = response.status_code
    detail = detail_of(response)
    message = f"{response.request.method} {response.request.url.path}: {detail} (HTTP {status})"
    if status in _BUSY:
        return ServerBusyError(message, response=response, detail=detail, retry_after=retry_after(response))
    if asked is not Asked.OTHER and says_missing(response):
        of_the_job = asked is Asked.JOB or _NO_SUCH_JOB.fullmatch(detail)
        kind = JobNotFoundError if of_the_job else JobFileNotFoundError
        return kind(message, response=response, detail=detail)
    if response.has_redirect_location:
        location = response.headers["Location"][:_MAX_DETAIL]
        message = f"{message}: redirected to {location!r}; set base_url to the service's own URL"
    fallback = ServerError if status >= _FIRST_SERVER_ERROR else InvalidRequestError
    return _BY_STATUS.get(status, fallback)(message, response=response, detail=detail)
