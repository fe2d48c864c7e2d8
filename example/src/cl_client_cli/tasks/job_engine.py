"""Runs one job from its file to its kept result; plugin commands and batches are made of this."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, cast

from cl_client.exceptions import (
    AuthenticationError,
    ComputeClientError,
    HTTPError,
    JobFailedError,
    JobNotFoundError,
    JobTimeoutError,
    PermissionDeniedError,
    RequestTimeoutError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
    WorkerUnavailableError,
)
from cl_client_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import ByteProgress, ComputeClient, JobResponse, JSONObject, TaskParams
    from cl_client_cli.frame.options import JobOptions
    from cl_client_cli.jobs.ledger import Ledger
    from cl_client_cli.tasks.table import TaskResult

CONCERNS_ALL_JOBS = (ServerUnavailableError, AuthenticationError, PermissionDeniedError)
"""The server is gone, or takes nothing from this user: not the matter of one job."""
_TRANSIENT = (
    ServerUnavailableError,
    ServerBusyError,
    ServerError,
    WorkerUnavailableError,
    TimeoutError,
    JobNotFoundError,
)
_ANSWER_SECONDS: Final = 10.0
_LAST_LOOK: Final = 0.001
"""Seconds for which a job is waited for whose upload took all of its time."""


@dataclass(frozen=True, slots=True, eq=False)
class JobRequest:
    """A task to be run on a file.

    Attributes:
        path: The file.
        task: The task.
        params: Its parameters.
        target: Where the result is kept; None for nowhere.
        name: What the file is called for people.
        annotated: Where a copy of the picture goes on which the faces are marked; None for nowhere.
    """

    path: Path
    task: str
    params: TaskParams
    target: Path | None
    name: str
    annotated: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended.

    Attributes:
        request: The request.
        job: The job; None where it did not come to one.
        result: What came out; None for a failure, or where nobody waited.
        error: Why there is no result.
        transient: Whether the same request may well succeed at another time.
        cause: What it met; None where the job itself failed.
    """

    request: JobRequest
    job: JobResponse | None = None
    result: TaskResult | None = None
    error: str | None = None
    transient: bool = False
    cause: Exception | None = None

    def as_json(self) -> JSONObject:
        """The outcome for programs, on one line."""
        request, job, result = self.request, self.job, self.result
        if self.error is not None:
            status = "failed"
        else:
            # A result that was copied has no job.
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


class SubmissionWatcher(Protocol):
    """Is told, at once and in the loop, how far a submission is."""

    def sent(self) -> None:
        """The server is about to have the whole file, and may make a job of it from now on.

        Where this raises, the upload is cut, so that the server makes none.
        """

    def refused(self) -> None:
        """The server has said that it makes no job of it."""

    def accepted(self, job: JobResponse) -> None:
        """The server has made a job of it."""


class JobObserver(Protocol):
    """Is shown how a job comes along."""

    def upload(self, done: int, total: int | None) -> None:
        """So many bytes of its file have been sent."""

    def update(self, job: JobResponse) -> None:
        """News of it have come."""


class JobEngine:
    """Submits, follows, fetches, and has each step written down in the ledger.

    Args:
        client: The client.
        ledger: Where jobs are written down.
        options: How they are submitted.
    """

    def __init__(self, client: ComputeClient, ledger: Ledger, options: JobOptions) -> None:
        self._client = client
        self._ledger = ledger
        self._options = options
        self._server = client.config.base_url

    async def submit(
        self, request: JobRequest, observer: JobObserver, watcher: SubmissionWatcher | None = None
    ) -> JobResponse:
        """Submit a request, and write its job down.

        When it is cancelled while the server has the whole file and has not answered yet, the answer is
        waited for, a few seconds at most: a job that nobody has noted can never be found again.

        Raises:
            ComputeClientError: It could not be submitted.
            OSError: The file cannot be read.
            Exception: The watcher's own, when it was told that the file is sent.
        """
        upload = _Upload(observer, watcher)
        submission = asyncio.create_task(self._submit(request, watcher, upload))
        try:
            return await asyncio.shield(submission)
        except asyncio.CancelledError:
            if upload.cut_by is not None:
                raise upload.cut_by from None
            if not upload.is_sent:
                submission.cancel()  # now: one turn of the loop later the file may be there
            await _end_within(_ANSWER_SECONDS, submission)
            raise

    async def _submit(
        self, request: JobRequest, watcher: SubmissionWatcher | None, on_upload: ByteProgress
    ) -> JobResponse:
        try:
            job = await self._client.plugin(request.task).submit(
                request.path,
                request.params,
                priority=self._options.priority,
                timeout=self._options.timeout,
                require_worker=self._options.require_worker,
                on_upload=on_upload,
            )
        except HTTPError as exc:
            # Above that it may be a gateway's word, or one said after the job was made.
            if watcher is not None and exc.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                watcher.refused()
            raise
        if watcher is not None:
            watcher.accepted(job)
        await asyncio.to_thread(
            self._ledger.submitted,
            job,
            server=self._server,
            source=str(request.path.absolute()),
            params={**request.params.form_fields()},
            target=request.target,
        )
        return job

    async def run(
        self, request: JobRequest, observer: JobObserver, watcher: SubmissionWatcher | None = None
    ) -> Outcome:
        """Run a request to its end; what its upload has taken is no longer there for the wait.

        Raises:
            ServerUnavailableError: The server is gone.
            AuthenticationError: A login is needed.
            PermissionDeniedError: The user may not do this.
        """
        loop, seconds = asyncio.get_running_loop(), self._options.timeout
        end = None if seconds is None else loop.time() + seconds
        try:
            job = await self.submit(request, observer, watcher)
            if not self._options.wait:
                return Outcome(request, job)
            return await self.take_up(request, job.job_id, observer, end=end)
        except CONCERNS_ALL_JOBS as exc:
            if isinstance(exc, RequestTimeoutError) and end is not None and loop.time() >= end:
                return failed(request, TimeoutError(str(exc)))  # its own time is up, the server may be well
            raise
        except (ComputeClientError, OSError) as exc:  # also a job that somebody has deleted
            return failed(request, exc)

    async def take_up(
        self, request: JobRequest, job_id: str, observer: JobObserver, *, end: float | None = None
    ) -> Outcome:
        """Follow a job that was submitted, also by another process, and fetch its result.

        Args:
            request: What the job was submitted for.
            job_id: The job.
            observer: Is shown how it comes along.
            end: When its time is up, by the loop's clock; None for all of its time from now on.

        Raises:
            JobNotFoundError: The server has forgotten the job.
            ServerUnavailableError: The server is gone.
            AuthenticationError: A login is needed.
            PermissionDeniedError: The user may not do this.
        """
        job: JobResponse | None = None
        try:
            job = await self._wait(job_id, observer, end)
            await asyncio.to_thread(self._ledger.updated, job, server=self._server)
            job.raise_for_status()
            if request.target is not None:
                await asyncio.to_thread(request.target.parent.mkdir, parents=True, exist_ok=True)
            result = await TASKS[request.task].fetch(self._client, job, request.target)
            if request.target is not None:
                await asyncio.to_thread(self._ledger.kept, job_id, server=self._server)
        except (JobNotFoundError, *CONCERNS_ALL_JOBS):
            raise
        except (ComputeClientError, OSError, ValueError) as exc:
            return failed(request, exc, job)
        return Outcome(request, job, result)

    async def _wait(self, job_id: str, observer: JobObserver, end: float | None) -> JobResponse:
        seconds = self._options.timeout
        left = seconds if end is None else max(end - asyncio.get_running_loop().time(), _LAST_LOOK)
        subscription = self._client.subscribe_job_updates(job_id, on_progress=observer.update)
        try:
            return await self._client.wait_for_job(
                job_id,
                timeout=left,
                delete_on_cancel=self._options.delete_on_cancel or None,
            )
        except JobTimeoutError as exc:
            if seconds is None:
                raise
            raise JobTimeoutError(job_id, seconds, exc.job) from exc  # told by the time that was given
        finally:
            self._client.unsubscribe(subscription)


class _Upload:
    """Follows the upload of a file, and cuts it where nobody could know afterwards that it was sent.

    Args:
        observer: Is shown how it comes along.
        watcher: Is told when all is sent but for the end of the request.
    """

    def __init__(self, observer: JobObserver, watcher: SubmissionWatcher | None) -> None:
        self._observer = observer
        self._watcher = watcher
        self.is_sent = False
        self.cut_by: Exception | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """So many bytes of it have been sent."""
        self._observer.upload(done, total)
        if done != total or self.is_sent:
            return
        if self._watcher is not None:
            try:
                self._watcher.sent()
            except Exception as exc:
                self.cut_by = exc
                raise asyncio.CancelledError from exc  # any other error of a callback stops no upload
        self.is_sent = True


async def _end_within(seconds: float, task: asyncio.Task[JobResponse]) -> None:
    """Wait for the end of a task, through any number of cancellations; when its time is over, cancel it."""
    cut = asyncio.get_running_loop().call_later(seconds, task.cancel)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    cut.cancel()
    if not task.cancelled():
        task.exception()  # taken note of: the cancellation goes before


def failed(request: JobRequest, exc: Exception, job: JobResponse | None = None) -> Outcome:
    """The outcome of a request that met an error."""
    if isinstance(exc, JobFailedError):
        reason = exc.job.error_message or "the server gave no reason"
        # Whoever tells it names the file, and the same reason of many files is one.
        return Outcome(request, exc.job, error=reason.removeprefix(f"{request.path.name}: "))
    words = str(exc) or type(exc).__name__
    if isinstance(exc, OSError) and exc.strerror and cast("object", exc.filename) == str(request.path):
        words = exc.strerror
    return Outcome(request, job, error=words, transient=isinstance(exc, _TRANSIENT), cause=exc)
