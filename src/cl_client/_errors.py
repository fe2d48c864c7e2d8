"""Errors that carry no job and no HTTP response; `cl_client.exceptions` has all errors of this library."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from typing_extensions import override

from cl_client._core.error_pickling import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    _Rebuild: TypeAlias = Callable[
        [type["ComputeClientError"], tuple[object, ...], dict[str, object]], "ComputeClientError"
    ]

_MODULES: Final = {__name__, "cl_client._http_errors", "cl_client.models"}
_SLOTS: Final = ("errno", "msg")


class ComputeClientError(Exception):
    """Base class of all errors of this library. Can be pickled and copied, without its request's headers."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__ in _MODULES:  # tracebacks and pickles name the public module
            cls.__module__ = "cl_client.exceptions"

    @override
    def __reduce__(self) -> tuple[_Rebuild, tuple[type[Self], tuple[object, ...], dict[str, object]]]:
        state = {name: portable(value) for name, value in cast("dict[str, object]", vars(self)).items()}
        # OSError and ImportError keep these outside of their dictionary.
        slots = {name: cast("object", getattr(self, name, None)) for name in _SLOTS}
        state |= {name: value for name, value in slots.items() if value is not None}
        return _rebuilt, (type(self), self.args, state)


def _rebuilt(
    kind: type[ComputeClientError], args: tuple[object, ...], state: dict[str, object]
) -> ComputeClientError:
    """Create an error without calling its ``__init__``, whose parameters differ from ``args``."""
    error = kind.__new__(kind, *args)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


class InvalidParameterError(ComputeClientError, ValueError):
    """A parameter is invalid, and nothing was sent; or a file changed or became unreadable during its upload.

    In both cases no job is created.
    """


class UploadNotRepeatableError(ComputeClientError):
    """A request had to be sent again, but its file is a stream that can be read only once."""

    def __init__(self, name: str) -> None:
        """Name the file and the remedy."""
        super().__init__(
            f"{name}: the request must be sent again (a retry, or a renewed token), but the file is a stream "
            "that can be read only once. Submit it again, and pass a function that returns the stream, a "
            "path, or bytes"
        )


class ServerPathRefusedError(ComputeClientError):
    """The server does not read a file from its own disk: upload the file instead.

    It takes no paths for this task, does not share the folder, does not find the file there, or finds a
    different one. No job is created.

    Attributes:
        task_type: The task of the job.
        path: The path on the server.
        reason: Why, without the remedy.
        status_code: The HTTP status of the server's answer; None if the job was not sent.
    """

    def __init__(
        self, task_type: str, server: str, path: str, reason: str, *, status_code: int | None = None
    ) -> None:
        """Name the task, the server, the path, the reason and the remedy."""
        super().__init__(
            f"{task_type}: {server} does not read {path!r} from its own disk: {reason}; "
            "upload the file: pass Path(...)"
        )
        self.task_type = task_type
        self.path = path
        self.reason = reason
        self.status_code = status_code


class UnknownTaskError(ComputeClientError, ValueError):
    """No plugin exists for the task."""

    def __init__(self, task_type: str, known: Sequence[str]) -> None:
        """Name the requested task and the known tasks."""
        super().__init__(f"Unknown task {task_type!r}; known tasks are: {', '.join(sorted(known))}")
        self.task_type = task_type


class ConfigurationError(ComputeClientError, ValueError):
    """A setting is invalid; the message names it."""


class ClientClosedError(ComputeClientError):
    """The client is closed, or was closed during the call.

    Attributes:
        job_id: The job that was followed; it continues on the server. None for other calls.
    """

    def __init__(self, job_id: str | None = None) -> None:
        """Say how to follow the job again."""
        super().__init__(
            "The client is closed, which ended this call; `async with client` opens it again."
            if job_id is None
            else f"The client is closed and no longer follows job {job_id}. "
            "The job continues on the server: wait for it by its id with an open client."
        )
        self.job_id = job_id


class InvalidResponseError(ComputeClientError):
    """The server's response is invalid."""


class MissingExtraError(ComputeClientError, ImportError):
    """An optional dependency is not installed; the message says how to install it."""

    def __init__(self, purpose: str, extra: str) -> None:
        """Name the missing extra of this package."""
        super().__init__(f"{purpose} needs the extra {extra!r}: pip install 'cl_client[{extra}]'")


class InvalidTokenError(ComputeClientError, ValueError):
    """A token is invalid: malformed, expired, or signed with a different key."""


class WorkerUnavailableError(ComputeClientError):
    """No worker serves the task.

    Attributes:
        missing: The task types without a worker.
        available: Number of idle workers per task type, as last known.
    """

    def __init__(self, missing: Sequence[str], available: Mapping[str, int]) -> None:
        """Name the missing and the available task types."""
        there = ", ".join(f"{task} ({idle} idle)" for task, idle in sorted(available.items())) or "none"
        super().__init__(f"No worker serves {', '.join(sorted(missing))}; available workers serve: {there}")
        self.missing = tuple(missing)
        self.available = dict(available)


class FileWriteError(ComputeClientError, OSError):
    """A file cannot be written: the disk is full, permission is denied, or the name is invalid.

    The destination is unchanged.

    Attributes:
        path: The destination.
    """

    path: Path

    @classmethod
    def of(cls, path: Path, cause: Exception) -> Self:
        """Create the error for a destination.

        Args:
            path: The destination.
            cause: The system's error; its reason becomes part of the message.

        Returns:
            An error that names the path, the reason and the remedy.
        """
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
    """A file already exists, and ``overwrite`` is off."""

    @classmethod
    def at(cls, path: Path) -> Self:
        """Create the error for a destination.

        Args:
            path: The existing file.

        Returns:
            An error that names the file and the remedy.
        """
        message = f"{str(path)!r} already exists; pass overwrite=True to replace it"
        return cls._at(path, message, errno.EEXIST)


class JobFilesError(ComputeClientError, ExceptionGroup[Exception]):
    """Some files of a job could not be downloaded or moved to their destination; the message names each.

    If a download failed, no file is kept. If a file could not be moved, the other files are kept.

    This is also an exception group, for ``except*``.

    Attributes:
        job_id: The job.
        failures: The errors, by the file's path inside the job.
    """

    job_id: str
    failures: dict[str, Exception]

    @classmethod
    def of(cls, job_id: str, failures: Mapping[str, Exception]) -> Self:
        """Create the error for some files of a job.

        Args:
            job_id: The job.
            failures: The errors, by the file's path inside the job.

        Returns:
            An error that names every file and its error.
        """
        causes = "; ".join(f"{path}: {error}" for path, error in failures.items())
        group = cls(f"Files of job {job_id} could not be downloaded: {causes}", [*failures.values()])
        group.job_id = job_id
        group.failures = dict(failures)
        return group
