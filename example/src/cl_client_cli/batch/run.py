"""Runs a batch: a few items at a time, each only once, despite outages and interruptions."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt
from typing_extensions import override

from cl_client import map_concurrently
from cl_client.plugins import plugin_class
from cl_client_cli.batch.copies import copy_result
from cl_client_cli.batch.items import Contents
from cl_client_cli.frame.outages import PAUSES, is_outage
from cl_client_cli.tasks.job_outcome import JobRequest, Outcome, failed
from cl_client_cli.tasks.notes import Notes
from cl_client_cli.tasks.resilient_engine import Attempt, last_outcome, may_be_sent

if TYPE_CHECKING:
    from cl_client import JobResponse
    from cl_client_cli.batch.ended_jobs import EndedJobs
    from cl_client_cli.batch.items import Content, Item
    from cl_client_cli.batch.manifest import BatchManifest
    from cl_client_cli.frame.progress import JobProgress, JobRow
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.resilient_engine import ResilientEngine


@dataclass(kw_only=True)
class _NotedAttempt(Attempt):
    """An item in progress; each step is recorded in the manifest."""

    manifest: BatchManifest
    item: Item
    content: Content

    @override
    def sent(self) -> None:
        self.manifest.submitting(self.item, self.content)
        super().sent()

    @override
    def refused(self) -> None:
        self.manifest.refused(self.item)
        super().refused()

    @override
    def accepted(self, job: JobResponse) -> None:
        # Immediately, not in a thread: if the process dies before this line, the item is submitted again.
        self.manifest.submitted(self.item, job.job_id)
        super().accepted(job)


@dataclass(slots=True)
class BatchRun:
    """One run of a batch.

    Attributes:
        engine: Runs the jobs, despite outages.
        manifest: The manifest of the batch.
        progress: Shows the progress.
        terminal: Where outcomes are printed.
        retries: How often a transient failure is retried.
        retry_failed: Whether permanent failures are retried too.
        ended_jobs: Deletes jobs whose results are saved; None to leave them on the server.
        ended: How many items were done, failed, copied, submitted, unchanged, read in place, or have warnings
            so far.
    """

    engine: ResilientEngine
    manifest: BatchManifest
    progress: JobProgress
    terminal: Terminal
    retries: int
    retry_failed: bool = False
    ended_jobs: EndedJobs | None = None
    ended: Counter[str] = field(default_factory=Counter[str])
    _contents: Contents = field(default_factory=Contents)
    _under_way: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary[tuple[str, str, str], asyncio.Lock]
    )

    async def run(self, *, concurrency: int) -> None:
        """Run the remaining items of the batch.

        Args:
            concurrency: How many items run at the same time.

        Raises:
            ServerUnavailableError: The server was unreachable for too long.
            AuthenticationError: A login is required.
            PermissionDeniedError: The user lacks the permission.
        """
        pending = self.manifest.pending(retry_failed=self.retry_failed)
        running = map_concurrently(self._run_item, pending, concurrency=concurrency)
        with Notes(self.terminal) as notes:
            async with aclosing(running) as outcomes:
                async for _, outcome in outcomes:
                    if isinstance(outcome, Exception):
                        raise outcome
                    if outcome is not None:
                        self.terminal.record(outcome.as_json())
                        notes.tell(outcome)
                        self.ended["noted"] = notes.noted

    async def _run_item(self, item: Item) -> Outcome | None:
        """Run an item; None if there was nothing to do."""
        request = _request(item)
        row = self.progress.start(request.name, request.task)
        outcome = await self._outcome(item, request, row)
        self.progress.end(row, failed=outcome is not None and outcome.error is not None)
        job = None if outcome is None else outcome.job
        if self.ended_jobs is not None and job is not None and job.status.is_terminal:
            await self.ended_jobs.add(job.job_id)
        return outcome

    async def _outcome(self, item: Item, request: JobRequest, row: JobRow) -> Outcome | None:
        try:
            content = await self._contents.of(item.source)
        except OSError as exc:
            if (known := item.known_content()) is None:
                return self._end(item, failed(request, exc), None)
            content = known  # the job has the file, and may have finished
        if item.is_settled(content, retry_failed=self.retry_failed):
            self.manifest.touched(item, content)
            self.ended["unchanged"] += 1
            return None
        if item.state == "done":
            self.manifest.reopened(item)  # its result is about to be replaced, so it must not be copied
        # Of items with the same content, task and parameters, one is run, and the others copy its result.
        same = self._under_way.setdefault((content.digest, item.task, item.params), asyncio.Lock())
        async with same:
            if (copied := await self._copy(item, request, content)) is not None:
                return self._end(item, copied, content)
            attempt = _NotedAttempt(
                request, row, item.known_job(content), manifest=self.manifest, item=item, content=content
            )
            return self._end(item, await self._to_the_end(attempt), content)

    async def _copy(self, item: Item, request: JobRequest, content: Content) -> Outcome | None:
        """Copy the result of another item with the same content; None if there is none."""
        twin = self.manifest.twin(item, content.digest)
        if twin is None:
            return None
        try:
            copied = await asyncio.to_thread(copy_result, twin, item)
        except (OSError, ValueError) as exc:
            return failed(request, exc)
        if copied is None:
            return None
        self.ended["copied"] += 1
        return Outcome(request, result=copied)

    def _end(self, item: Item, outcome: Outcome, content: Content | None) -> Outcome:
        if outcome.result is None and outcome.error is None:
            self.ended["submitted"] += 1  # with --no-wait; the next run downloads the result
        else:
            self.manifest.ended(item, outcome, content)
            self.ended["done" if outcome.error is None else "failed"] += 1
        return outcome

    async def _to_the_end(self, attempt: Attempt) -> Outcome:
        """Run an item until it has succeeded, failed permanently, or failed too often."""
        retrying = AsyncRetrying(
            retry=retry_if_result(partial(_is_worth_a_retry, attempt)),
            wait=PAUSES,
            stop=stop_after_attempt(self.retries + 1),
            retry_error_callback=last_outcome,
        )
        return await retrying(self.engine.go_on, attempt)


def _is_worth_a_retry(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether to retry now; a job that timed out is not retried."""
    out_of_time = isinstance(outcome.cause, TimeoutError) and not is_outage(outcome.cause)
    return outcome.transient and not out_of_time and may_be_sent(attempt)


def _request(item: Item) -> JobRequest:
    params = plugin_class(item.task).params_model.model_validate_json(item.params)
    return JobRequest(item.source, item.task, params, item.target, str(item.source))
