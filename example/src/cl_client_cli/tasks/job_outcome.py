"""A request to run a task on a file, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cl_client.exceptions import (
    JobFailedError,
    JobNotFoundError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
    WorkerUnavailableError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import JobResponse, JSONObject, TaskParams
    from cl_client_cli.tasks.table import TaskResult

_TRANSIENT = (
    ServerUnavailableError,
    ServerBusyError,
    ServerError,
    WorkerUnavailableError,
    TimeoutError,
    JobNotFoundError,
)


@dataclass(frozen=True, slots=True, eq=False)
class JobRequest:
    """A task to run on a file.

    Attributes:
        path: The file.
        task: The name of the task.
        params: The parameters of the task.
        target: Where the result is saved; None for nowhere.
        name: The name of the file for people.
        annotated: Where to write a copy of the image with the faces marked; None for nowhere.
        is_temporary: Whether the file is removed when the command ends, so that it has to be uploaded.
    """

    path: Path
    task: str
    params: TaskParams
    target: Path | None
    name: str
    annotated: Path | None = None
    is_temporary: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended.

    Attributes:
        request: The request.
        job: The job; None if none was created.
        result: The result; None after a failure, or if the command does not wait for it.
        error: Why there is no result; None if it did not fail.
        transient: Whether the same request may succeed later.
        cause: The error that was raised; None if the job itself failed.
    """

    request: JobRequest
    job: JobResponse | None = None
    result: TaskResult | None = None
    error: str | None = None
    transient: bool = False
    cause: Exception | None = None

    def as_json(self) -> JSONObject:
        """Convert the outcome to JSON, for programs.

        Returns:
            A JSON object.
        """
        request, job, result = self.request, self.job, self.result
        if self.error is not None:
            status = "failed"
        else:
            # A copied result has no job.
            status = "completed" if result else str(job.status) if job else None
        return {
            "input": request.name,
            "task": request.task,
            "job_id": job.job_id if job else None,
            "status": status,
            "output": result.data if result else None,
            "files": [str(file) for file in result.files] if result else [],
            "error": self.error,
        }


def failed(request: JobRequest, exc: Exception, job: JobResponse | None = None) -> Outcome:
    """Make the outcome of a request that met an error.

    Args:
        request: The request.
        exc: The error.
        job: The job; None if there is none.

    Returns:
        The outcome.
    """
    if isinstance(exc, JobFailedError):
        reason = exc.job.error_message or "the server gave no reason"
        # The message names the file already, and equal reasons of many files are grouped.
        return Outcome(request, exc.job, error=reason.removeprefix(f"{request.path.name}: "))
    words = str(exc) or type(exc).__name__
    if isinstance(exc, OSError) and exc.strerror and cast("object", exc.filename) == str(request.path):
        words = exc.strerror
    return Outcome(request, job, error=words, transient=isinstance(exc, _TRANSIENT), cause=exc)
