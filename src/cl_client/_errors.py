"""The errors of this library that carry no job; `cl_client.exceptions` has all of them.

An answer of the server with an error status is also an `httpx.HTTPStatusError`, and a connection that
cannot be made is also an `httpx.TransportError`, so that existing ``except`` clauses keep working.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import httpx
from typing_extensions import override

from cl_client._core.error_pickling import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    _Rebuild: TypeAlias = Callable[
        [type["ComputeClientError"], tuple[object, ...], dict[str, object]], "ComputeClientError"
    ]

_SLOTS: Final = ("errno", "msg")


class ComputeClientError(Exception):
    """Base of every error of this library. Can be pickled and copied, without the headers of its request."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__ in {__name__, "cl_client.models"}:  # tracebacks and pickles name the public module
            cls.__module__ = "cl_client.exceptions"

    @override
    def __reduce__(self) -> tuple[_Rebuild, tuple[type[Self], tuple[object, ...], dict[str, object]]]:
        state = {name: portable(value) for name, value in cast("dict[str, object]", vars(self)).items()}
        # What OSError and ImportError keep outside of their dictionary.
        slots = {name: cast("object", getattr(self, name, None)) for name in _SLOTS}
        state |= {name: value for name, value in slots.items() if value is not None}
        return _rebuilt, (type(self), self.args, state)


def _rebuilt(
    kind: type[ComputeClientError], args: tuple[object, ...], state: dict[str, object]
) -> ComputeClientError:
    """An error without its ``__init__``, which takes what the message was made of."""
    error = kind.__new__(kind, *args)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


class InvalidParameterError(ComputeClientError, ValueError):
    """A parameter is out of its range, found before anything was sent; or a file cannot be sent to its end.

    Such a file can no longer be read, or has changed; no job comes of what was sent.
    """


class UploadNotRepeatableError(ComputeClientError):
    """A request had to be sent again, but its file came as a stream that can be read only once."""

    def __init__(self, name: str) -> None:
        """Name the file and the remedy."""
        super().__init__(
            f"{name}: the request has to be sent again (a retry, or a renewed token), but the file came as a "
            "stream that can be read once. Submit it again, and pass a function that makes the stream, a "
            "path, or bytes"
        )


class UnknownTaskError(ComputeClientError, ValueError):
    """There is no plugin of that name."""

    def __init__(self, task_type: str, known: Sequence[str]) -> None:
        """Name the task that was asked for and those that exist."""
        super().__init__(f"Unknown task {task_type!r}; known tasks are: {', '.join(sorted(known))}")
        self.task_type = task_type


class ConfigurationError(ComputeClientError, ValueError):
    """A setting is unusable; the message names it."""


class ClientClosedError(ComputeClientError):
    """The client is closed, perhaps while a call of it was under way.

    Attributes:
        job_id: The job that was followed, which goes on at the server; None for other calls.
    """

    def __init__(self, job_id: str | None = None) -> None:
        """Say how to take the job up again."""
        super().__init__(
            "The client is closed, and this call has ended; `async with client` opens it again."
            if job_id is None
            else f"The client is closed and no longer follows job {job_id}. "
            "It goes on at the server: wait for it by its id with an open client."
        )
        self.job_id = job_id


class ServerUnavailableError(ComputeClientError, httpx.TransportError):
    """The server cannot be reached: refused, reset, no such name, or a proxy in between failed.

    Attributes:
        may_have_been_accepted: Whether the server may have taken what was sent, for instance a job, with
            its answer lost. False where that is certain not to be so: there was no connection, or the end of
            the file was not sent. Such a submit can be repeated without a second job.
    """

    may_have_been_accepted: bool = True


class RequestTimeoutError(ServerUnavailableError, TimeoutError):
    """A request, or a whole call with its retries, took longer than its timeout; the message says which."""


class InvalidResponseError(ComputeClientError):
    """The server's answer is not what it should be."""


class MissingExtraError(ComputeClientError, ImportError):
    """What was called needs an optional dependency that is not installed; the message says how to add it."""

    def __init__(self, purpose: str, extra: str) -> None:
        """Name the extra of this distribution."""
        super().__init__(f"{purpose} needs the extra {extra!r}: pip install 'cl_client[{extra}]'")


class HTTPError(ComputeClientError, httpx.HTTPStatusError):
    """The server answered with an error status.

    Attributes:
        status_code: The HTTP status.
        detail: The server's own words, or its status line where it gave none.
    """

    def __init__(self, message: str, *, response: httpx.Response, detail: str) -> None:
        """Keep the request and the response, as httpx does."""
        super().__init__(message, request=response.request, response=response)
        self.status_code = response.status_code
        self.detail = detail


class InvalidRequestError(HTTPError):
    """400, 422 and other refusals of what was asked; names the field and the server's reason."""


class JobNotFoundError(HTTPError):
    """404 on a job: it never existed, or it was deleted."""


class JobFileNotFoundError(HTTPError):
    """404 on a file of a job that exists."""


class AuthenticationError(HTTPError):
    """401: credentials are missing, wrong or expired."""


class InvalidTokenError(ComputeClientError, ValueError):
    """A token is invalid: malformed, expired, or signed by somebody else."""


class PermissionDeniedError(HTTPError):
    """403: the credentials do not allow this."""


class ServerBusyError(HTTPError):
    """429 or 503: try again later.

    Attributes:
        retry_after: Seconds the server asked to wait, or None where it did not say.
    """

    def __init__(
        self, message: str, *, response: httpx.Response, detail: str, retry_after: float | None = None
    ) -> None:
        """Keep the pause that the server asked for."""
        super().__init__(message, response=response, detail=detail)
        self.retry_after = retry_after


class ServerError(HTTPError):
    """Any other 5xx."""


class WorkerUnavailableError(ComputeClientError):
    """No worker serves what is needed.

    Attributes:
        missing: The task types that nobody serves.
        available: Idle workers per task type, as last known.
    """

    def __init__(self, missing: Sequence[str], available: Mapping[str, int]) -> None:
        """Name what is missing and what is there."""
        there = ", ".join(f"{task} ({idle} idle)" for task, idle in sorted(available.items())) or "none"
        super().__init__(f"No worker serves {', '.join(sorted(missing))}; workers there serve: {there}")
        self.missing = tuple(missing)
        self.available = dict(available)


class FileWriteError(ComputeClientError, OSError):
    """A file cannot be written: a full disk, no permission, a name the file system does not take.

    The destination holds what it held before.

    Attributes:
        path: The destination.
    """

    path: Path

    @classmethod
    def of(cls, path: Path, cause: Exception) -> Self:
        """Say what the system said, and what to do about it."""
        number = cause.errno if isinstance(cause, OSError) else None
        reason = (cause.strerror if isinstance(cause, OSError) else None) or cause
        remedy = _WRITE_REMEDIES.get(number, "choose another destination")
        return cls._at(path, f"{str(path)!r} cannot be written: {reason}; {remedy}", number)

    @classmethod
    def _at(cls, path: Path, message: str, number: int | None) -> Self:
        error = cls(message)
        error.path = path
        error.errno = number
        return error


_WRITE_REMEDIES: dict[int | None, str] = {
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some of your quota, or choose another disk",
    errno.ENAMETOOLONG: "choose a shorter name",
}


class DestinationExistsError(FileWriteError, FileExistsError):
    """A file already exists, and was not to be replaced."""

    @classmethod
    def at(cls, path: Path) -> Self:
        """Name it and the remedy."""
        message = f"{str(path)!r} already exists; overwrite=True replaces it"
        return cls._at(path, message, errno.EEXIST)


class JobFilesError(ComputeClientError, ExceptionGroup[Exception]):
    """Some of a job's files could not be downloaded or put into place; the message names each.

    Where one could not be downloaded none is kept; where one could not be put into place the others are kept.

    Also an exception group, for ``except*``.

    Attributes:
        job_id: The job.
        failures: What went wrong, by the file's path below the job.
    """

    job_id: str
    failures: dict[str, Exception]

    @classmethod
    def of(cls, job_id: str, failures: Mapping[str, Exception]) -> Self:
        """Name every file and its error."""
        causes = "; ".join(f"{path}: {error}" for path, error in failures.items())
        group = cls(f"Files of job {job_id} could not be downloaded: {causes}", [*failures.values()])
        group.job_id = job_id
        group.failures = dict(failures)
        return group
