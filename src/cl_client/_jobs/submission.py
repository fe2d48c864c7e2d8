"""One submit, from the file to its job. Once the server has answered, the job is not lost."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from cl_client._core.deadlines import deadline
from cl_client._core.log import get_logger
from cl_client._core.telemetry import operation
from cl_client._http.document import parse
from cl_client._transfers.multipart import MultipartUpload
from cl_client.models import JobResponse
from cl_client.options import ServerPath, SubmitOptions, check_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cl_client._http.document import Document
    from cl_client._jobs.service import JobService
    from cl_client._transfers.multipart import MultipartForm
    from cl_client.config import ComputeClientConfig
    from cl_client.models import TaskOutput
    from cl_client.options import FileSource

logger = get_logger("cl_client.jobs")


class Submission:
    """One job to submit, with its options.

    Args:
        jobs: The jobs of the client.
        config: The settings of the client.
        task_type: The task.
        options: The options of the submit.

    Raises:
        InvalidParameterError: An option is unknown.
        UnknownTaskError: The task is unknown.
    """

    def __init__(
        self,
        jobs: JobService,
        config: ComputeClientConfig,
        task_type: str,
        options: SubmitOptions[TaskOutput],
    ) -> None:
        check_options(task_type, options, SubmitOptions.__optional_keys__)
        self._jobs = jobs
        self._config = config
        self._task_type = task_type
        self._endpoint = config.get_plugin_endpoint(task_type)
        self._options = options
        self._fresh = False
        self._begun = asyncio.get_running_loop().time()

    async def run(self, source: FileSource, fields: Mapping[str, str]) -> JobResponse:
        """Upload the file, and wait for the job if the options ask for it.

        Args:
            source: The file.
            fields: Form fields of the request.

        Returns:
            The queued job; with ``wait``, the ended job.

        Raises:
            ComputeClientError: See `ComputeClient.submit_job`.
            CancelledError: The call was cancelled.
        """
        async with contextlib.AsyncExitStack() as opened:
            with operation("submit", task=self._task_type) as under_way:
                job = await self._send(opened, source, fields)
                under_way.note(job_id=job.job_id)
            # Closing the file may take long and must not lose the job; the upload's timeout is over.
            close = partial(_close, opened, job.job_id)
            if self._options.get("wait"):
                self._subscribe(job)
                return await self._wait(job, close)
            try:
                await close()
            except asyncio.CancelledError:
                if self._delete_on_cancel:
                    await self._jobs.delete_abandoned(job.job_id)
                else:
                    logger.warning(
                        "job %s was submitted and continues, although the submit call was cancelled",
                        job.job_id,
                    )
                raise
            self._subscribe(job)
            return job

    @property
    def _delete_on_cancel(self) -> bool:
        wanted = self._options.get("delete_on_cancel")
        return self._config.delete_on_cancel if wanted is None else wanted

    async def _send(
        self, opened: contextlib.AsyncExitStack, source: FileSource, fields: Mapping[str, str]
    ) -> JobResponse:
        """Open the file and send it; the stack closes what was opened."""
        what, url = f"Submitting a {self._task_type} job", f"{self._config.base_url}{self._endpoint}"
        async with deadline(self._options.get("timeout"), what, url, "POST") as limit:
            # Ends only after the file is closed, because callbacks are subscribed then.
            opened.enter_context(self._jobs.tracker.submitting())
            body, post = await self._prepared(opened, source, fields)
            limit.may_have_been_accepted = lambda: body.whole
            wanted = self._options.get("require_worker")
            if self._config.require_worker if wanted is None else wanted:
                await self._jobs.workers.require(self._task_type)
            await self._jobs.reader.give_way()
            # Events are complete only if push was live before the submit.
            self._fresh = self._jobs.tracker.push.is_live
            with operation("upload", task=self._task_type) as under_way:
                answer = await post()
                under_way.transferred = body.sent
            job = parse(JobResponse, answer)
            return job if job.task_type else job.model_copy(update={"task_type": self._task_type})

    async def _prepared(
        self, opened: contextlib.AsyncExitStack, source: FileSource, fields: Mapping[str, str]
    ) -> tuple[MultipartForm | MultipartUpload, Callable[[], Awaitable[Document]]]:
        """Make the body of the request, and the function that sends it."""
        on_upload = self._options.get("on_upload")
        if isinstance(source, ServerPath):
            form = await self._jobs.references.form(self._task_type, source, fields, on_upload)
            return form, partial(self._jobs.references.submit, self._task_type, source, fields, form)
        upload = await opened.enter_async_context(MultipartUpload.opened(fields, source, on_upload))
        return upload, partial(self._jobs.http.submit, self._endpoint, upload, upload.headers)

    def _subscribe(self, job: JobResponse) -> None:
        callbacks = [self._options.get(name) for name in ("on_progress", "on_complete", "on_error")]
        if any(callbacks):
            self._jobs.tracker.subscribe(job.job_id, *callbacks, submitted=job, fresh=self._fresh)

    async def _wait(self, job: JobResponse, close: Callable[[], Awaitable[None]]) -> JobResponse:
        seconds, spent = self._options.get("timeout"), asyncio.get_running_loop().time() - self._begun
        if seconds is None:
            seconds, spent = self._config.wait_timeout, 0.0
        return await self._jobs.wait(
            job.job_id,
            seconds,
            spent=spent,
            delete_on_cancel=self._delete_on_cancel,
            submitted=job,
            fresh=self._fresh,
            meanwhile=close,
        )


async def _close(opened: contextlib.AsyncExitStack, job_id: str) -> None:
    try:
        await opened.aclose()
    except Exception as exc:  # noqa: BLE001 - a stream of the application may raise anything
        logger.warning("job %s was submitted, but closing its file failed: %r", job_id, exc)
