"""From httpx's failures and the server's answers to the errors of this library."""

from __future__ import annotations

import contextlib
import re
from enum import Enum, auto
from typing import Final

import httpx
import idna
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cl_client._core.certificates import certificate_problem
from cl_client._errors import (
    AuthenticationError,
    ComputeClientError,
    HTTPError,
    InvalidRequestError,
    InvalidResponseError,
    JobFileNotFoundError,
    JobNotFoundError,
    PermissionDeniedError,
    RequestTimeoutError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)
from cl_client._http.retries import retry_after
from cl_client._transfers.body import BodyReader

_MAX_DETAIL = 500
_MAX_ERROR_BYTES = 64 * 1024
_BODY_HEADERS = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})

_BY_STATUS: dict[int, type[HTTPError]] = {401: AuthenticationError, 403: PermissionDeniedError}
_BUSY = frozenset({429, 503})
_NOT_FOUND = 404
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Before there was a connection to the server. httpcore has a ProxyError only where a proxy gives none."""
_FIRST_SERVER_ERROR = 500
_UNKNOWN_ROUTE: Final = "Not Found"
"""What FastAPI says of an address that it does not know: nothing of a job, but of a wrong ``base_url``."""
_NO_SUCH_JOB: Final = re.compile(r"Job .+ not found", re.DOTALL)


class Asked(Enum):
    """What a request asks for, which decides what a 404 means."""

    JOB = auto()
    FILE = auto()
    """A file of a job."""
    OTHER = auto()


class _Problem(BaseModel):
    """One entry of a 422's ``detail``."""

    model_config = ConfigDict(extra="ignore")

    loc: tuple[str | int, ...] = ()
    msg: str = ""


class _ErrorBody(BaseModel):
    """``{"detail": ...}`` as FastAPI sends it."""

    model_config = ConfigDict(extra="ignore")

    detail: str | list[_Problem]


_ERROR_BODY = TypeAdapter(_ErrorBody)


def translated(exc: Exception, base_url: str, request: httpx.Request) -> Exception:
    """The error of this library for one of httpx, the most specific first; any other one is given back."""
    if isinstance(exc, ComputeClientError):  # some are httpx's too, such as that of a login on the way
        return exc
    if isinstance(exc, httpx.TooManyRedirects):
        return InvalidResponseError(f"{base_url} redirects in a circle; set base_url to where it is")
    if isinstance(exc, httpx.InvalidURL | idna.IDNAError):  # a Location: what is asked for was checked before
        return InvalidResponseError(
            f"{base_url} redirects to what is no address: {exc}; set base_url to where the service is"
        )
    if isinstance(exc, httpx.LocalProtocolError) and not _is_of_http2(exc):
        _forget_text(exc)
        return ComputeClientError(
            f"A request to {base_url} cannot be sent as HTTP: is there a line break in a header of yours, "
            "or a space at its end?"
        )
    if isinstance(exc, httpx.TransportError):
        error = _unavailable(base_url, exc)
        error.may_have_been_accepted = not isinstance(exc, _NEVER_SENT)
        error.request = request
        return error
    return exc


def _unavailable(base_url: str, exc: httpx.TransportError) -> ServerUnavailableError:
    if isinstance(exc, httpx.PoolTimeout):
        return RequestTimeoutError(f"No connection to {base_url} became free in time")
    if isinstance(exc, httpx.ConnectTimeout):
        return RequestTimeoutError(f"{base_url} did not accept a connection in time")
    if isinstance(exc, httpx.TimeoutException):
        kind = "take the request" if isinstance(exc, httpx.WriteTimeout) else "answer"
        return RequestTimeoutError(
            f"{base_url} did not {kind} in time; if it is just slow, raise `timeout`, "
            "which the environment has as CL_CLIENT_TIMEOUT"
        )
    if not isinstance(exc, httpx.ConnectError):
        return ServerUnavailableError(f"The connection to {base_url} broke: {str(exc) or type(exc).__name__}")
    if (problem := certificate_problem(exc)) is None:
        return ServerUnavailableError(f"Cannot connect to {base_url}: {exc}. Is the server running?")
    return ServerUnavailableError(
        f"{base_url} shows a certificate that is not to be trusted: {problem}. If it is the server's "
        "own, name the authority that signed it in ca_file; else somebody is in between"
    )


def _is_of_http2(exc: BaseException) -> bool:
    """Whether a connection that speaks HTTP/2 was in no state for a request, as when it is just ending."""
    error: BaseException | None = exc
    while error is not None and not type(error).__module__.startswith("h2."):
        error = error.__cause__ or error.__context__
    return error is not None


def _forget_text(exc: BaseException) -> None:
    """Take out what h11 quotes of a request, which may be a secret, also from the errors that led to this."""
    error: BaseException | None = exc
    while error is not None:
        error.args = ()
        error = error.__cause__ or error.__context__


async def read_error(response: httpx.Response) -> httpx.Response:
    """The same answer with its body, as much of it as came and as an explanation may take."""
    body = bytearray()
    # A server that refuses an upload may hang up at once: its status still says what matters.
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
    """The same answer with a body that is in memory, and decoded."""
    # Raw, since httpx takes no text beyond ASCII for a header, not even what it has decoded itself.
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _BODY_HEADERS]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=content,
        request=response.request,
        extensions=response.extensions,
    )


def detail_of(response: httpx.Response) -> str:
    """The server's words for an error, or its status line."""
    return _own_words(response) or f"{response.status_code} {response.reason_phrase}".strip()


def _own_words(response: httpx.Response) -> str:
    """What the service itself says, and not something in between; empty where it says nothing."""
    try:
        detail = _ERROR_BODY.validate_json(response.content).detail
    except (ValidationError, httpx.ResponseNotRead):
        return ""
    if isinstance(detail, str):
        return detail[:_MAX_DETAIL]
    return "; ".join(f"{'.'.join(map(str, p.loc[1:] or p.loc))}: {p.msg}" for p in detail)[:_MAX_DETAIL]


def says_missing(response: httpx.Response) -> bool:
    """Whether the service says that there is no such thing; a 404 of something in between proves nothing."""
    return response.status_code == _NOT_FOUND and _own_words(response) not in {"", _UNKNOWN_ROUTE}


def error_for(response: httpx.Response, asked: Asked = Asked.OTHER) -> HTTPError:
    """The error that an answer stands for, to a request for that."""
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
        message = f"{message}: redirected to {location!r}; set base_url to where the service is"
    fallback = ServerError if status >= _FIRST_SERVER_ERROR else InvalidRequestError
    return _BY_STATUS.get(status, fallback)(message, response=response, detail=detail)
