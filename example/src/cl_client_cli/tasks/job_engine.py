"""Runs one job, from its file to its saved result; used by task commands and batches."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from cl_client.exceptions import (
    AuthenticationError,
    ComputeClientError,
    HTTPError,
    JobNotFoundError,
    JobTimeoutError,
    PermissionDeniedError,
    RequestTimeoutError,
    ServerPathRefusedError,
    ServerUnavailableError,
)
from cl_client_cli.tasks.job_outcome import JobRequest, Outcome, failed
from cl_client_cli.tasks.notes import with_notes
from cl_client_cli.tasks.other_tasks import plugin_of
from cl_client_cli.tasks.server_paths import REFUSALS
from cl_client_cli.tasks.table import task_kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client import ComputeClient, JobResponse, ServerPath
    from cl_client_cli.frame.options import JobOptions
    from cl_client_cli.jobs.ledger import Ledger
    from cl_client_cli.tasks.server_paths import ServerPaths
    from cl_client_cli.tasks.table import TaskResult

CONCERNS_ALL_JOBS = (ServerUnavailableError, AuthenticationError, PermissionDeniedError)
"""The server is unreachable, or rejects this user: errors that affect all jobs."""
_ANSWER_SECONDS: Final = 10.0
_LAST_LOOK: Final = 0.001
"""How many seconds to wait for a job whose upload used up its timeout."""


class SubmissionWatcher(Protocol):
    """Receives the steps of a submission, immediately and in the event loop."""

    def sent(self) -> None:
        """Handle that the whole file is about to be sent: from now on the server may create a job.

        If this raises, the upload is aborted, so that the server creates no job.
        """

    def refused(self) -> None:
        """Handle that the server has rejected the request and creates no job."""

    def accepted(self, job: JobResponse) -> None:
        """Handle that the server has created a job.

        Args:
            job: The job.
        """


class JobObserver(Protocol):
    """Receives the progress of a job."""

    def upload(self, done: int, total: int | None) -> None:
        """Handle that more of the file was uploaded.

        Args:
            done: Bytes sent so far.
            total: Size of the file in bytes; None if it is unknown.
        """

    def update(self, job: JobResponse) -> None:
        """Handle a new state of the job.

        Args:
            job: The job as last read.
        """


class JobEngine:
    """Submits jobs, follows them, downloads results, and records each step in the ledger.

    Args:
        client: The client.
        ledger: Where jobs are recorded.
        options: How they are submitted.
        server_paths: Finds the files that the server reads from its own disk; None to upload all files.
    """

    def __init__(
        self,
        client: ComputeClient,
        ledger: Ledger,
        options: JobOptions,
        server_paths: ServerPaths | None = None,
    ) -> None:
        self._client = client
        self._server_paths = server_paths
        self._ledger = ledger
        self._options = options
        self._server = client.config.base_url

    async def submit(
        self, request: JobRequest, observer: JobObserver, watcher: SubmissionWatcher | None = None
    ) -> JobResponse:
        """Submit a request, and record its job.

        If it is cancelled after the whole file was sent and before the server has answered, it waits a few
        seconds for the answer: a job with an unknown ID can never be found again.

        Args:
            request: The request.
            observer: Receives the progress of the upload.
            watcher: Receives the steps of the submission; None if not needed.

        Returns:
            The job.

        Raises:
            ComputeClientError: The request could not be submitted.
            OSError: The file cannot be read.
            Exception: An error that the watcher raised in ``sent``.
            CancelledError: It was cancelled.
        """
        upload = _Upload(observer, watcher)
        submission = asyncio.create_task(self._submit(request, upload))
        try:
            return await asyncio.shield(submission)
        except asyncio.CancelledError:
            if upload.cut_by is not None:
                raise upload.cut_by from None
            if not upload.is_sent:
                submission.cancel()  # now: one turn of the loop later the file may be there
            await _end_within(_ANSWER_SECONDS, submission)
            raise

    async def _submit(self, request: JobRequest, upload: _Upload) -> JobResponse:
        loop, seconds = asyncio.get_running_loop(), self._options.timeout
        end = None if seconds is None else loop.time() + seconds
        job = await self._submit_by_path(request, upload)
        if job is None:
            left = None if end is None else max(end - loop.time(), _LAST_LOOK)
            job = await self._send(request, request.path, upload, left)
        await asyncio.to_thread(
            self._ledger.submitted,
            job,
            server=self._server,
            source=str(request.path.absolute()),
            params={**request.params.form_fields()},
            target=request.target,
        )
        return job

    async def _submit_by_path(self, request: JobRequest, upload: _Upload) -> JobResponse | None:
        """Submit the path of a file that is on the server's disk; None if it has to be uploaded."""
        paths, seconds = self._server_paths, self._options.timeout
        if paths is None or request.is_temporary:
            return None
        place = await paths.find(request.path, request.task, seconds=seconds)
        if place is None:
            return None
        try:
            job = await self._send(request, place, upload, seconds)
        except REFUSALS as exc:
            paths.refused(request.task, exc)
            upload.on_accepted = partial(paths.uploaded_instead, exc)
            return None
        paths.accepted()
        return job

    async def _send(
        self, request: JobRequest, source: Path | ServerPath, upload: _Upload, seconds: float | None
    ) -> JobResponse:
        try:
            job = await plugin_of(self._client, request.task).submit(
                source,
                request.params,
                priority=self._options.priority,
                timeout=seconds,
                require_worker=self._options.require_worker,
                on_upload=upload,
            )
        except ServerPathRefusedError:
            upload.refused()
            raise
        except HTTPError as exc:
            # A 5xx may come from a gateway, or after the job was created.
            if exc.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                upload.refused()
            raise
        upload.accepted(job)
        return job

    async def run(
        self, request: JobRequest, observer: JobObserver, watcher: SubmissionWatcher | None = None
    ) -> Outcome:
        """Run a request to its end; its timeout covers upload and wait together.

        Args:
            request: The request.
            observer: Receives the progress of the job.
            watcher: Receives the steps of the submission; None if not needed.

        Returns:
            The outcome.

        Raises:
            ServerUnavailableError: The server is unreachable.
            AuthenticationError: A login is required.
            PermissionDeniedError: The user lacks the permission.
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
                return failed(request, TimeoutError(str(exc)))  # the request's own timeout, not an outage
            raise
        except (ComputeClientError, OSError) as exc:  # also if somebody has deleted the job
            return failed(request, exc)

    async def take_up(
        self, request: JobRequest, job_id: str, observer: JobObserver, *, end: float | None = None
    ) -> Outcome:
        """Follow a submitted job, also one of another process, and download its result.

        Args:
            request: The request of the job.
            job_id: The ID of the job.
            observer: Receives the progress of the job.
            end: When the timeout ends, by the loop's clock; None to start the whole timeout now.

        Returns:
            The outcome.

        Raises:
            JobNotFoundError: The server no longer has the job.
            ServerUnavailableError: The server is unreachable.
            AuthenticationError: A login is required.
            PermissionDeniedError: The user lacks the permission.
        """
        job: JobResponse | None = None
        try:
            job = await self._wait(job_id, observer, end)
            result = await self._result(request, job)
        except (JobNotFoundError, *CONCERNS_ALL_JOBS):
            raise
        except (ComputeClientError, OSError, ValueError) as exc:
            return failed(request, exc, job)
        return Outcome(request, job, result)

    async def _result(self, request: JobRequest, job: JobResponse) -> TaskResult:
        """Save the result of an ended job. The ledger is told once, whether that works or not."""
        kept = False
        try:
            job.raise_for_status()
            result = await task_kind(request.task).fetch(self._client, job, request.target)
            kept = request.target is not None
        finally:
            await asyncio.to_thread(self._ledger.ended, job, server=self._server, kept=kept)
        return with_notes(result, job)

    async def _wait(self, job_id: str, observer: JobObserver, end: float | None) -> JobResponse:
        seconds = self._options.timeout
        left = seconds if end is None else max(end - asyncio.get_running_loop().time(), _LAST_LOOK)
        subscription = self._client.subscribe_job_updates(job_id, on_progress=observer.update)
        try:
            job = await self._client.wait_for_job(
                job_id,
                timeout=left,
                delete_on_cancel=self._options.delete_on_cancel or None,
            )
        except JobTimeoutError as exc:
            if seconds is None:
                raise
            raise JobTimeoutError(job_id, seconds, exc.job) from exc  # names the timeout that was set
        else:
            observer.update(job)  # it may have ended before there was any news of it
            return job
        finally:
            self._client.unsubscribe(subscription)


class _Upload:
    """Follows the upload of a file, and aborts it if it cannot be recorded that the file was sent.

    Args:
        observer: Receives the progress of the upload.
        watcher: Its ``sent`` is called before the end of the request is sent.
    """

    def __init__(self, observer: JobObserver, watcher: SubmissionWatcher | None) -> None:
        self._observer = observer
        self._watcher = watcher
        self.is_sent = False
        self.cut_by: Exception | None = None
        self.on_accepted: Callable[[], None] | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Handle that more of the file was uploaded."""
        self._observer.upload(done, total)
        if done != total or self.is_sent:
            return
        if self._watcher is not None:
            try:
                self._watcher.sent()
            except Exception as exc:
                self.cut_by = exc
                raise asyncio.CancelledError from exc  # other errors of a callback do not stop an upload
        self.is_sent = True

    def refused(self) -> None:
        """Handle that the server has rejected the request and creates no job."""
        if self._watcher is not None and self.is_sent:
            self._watcher.refused()
        self.is_sent = False

    def accepted(self, job: JobResponse) -> None:
        """Handle that the server has created a job."""
        if self._watcher is not None:
            self._watcher.accepted(job)
        if self.on_accepted is not None:
            self.on_accepted()


async def _end_within(seconds: float, task: asyncio.Task[JobResponse]) -> None:
    """Wait for a task despite any number of cancellations; cancel it when the time is up."""
    cut = asyncio.get_running_loop().call_later(seconds, task.cancel)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    cut.cancel()
    if not task.cancelled():
        task.exception()  # marked as retrieved: the cancellation takes precedence
