"""Runs a batch: a few items at a time, each once, through outages and interruptions."""

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
from cl_client_cli.batch.items import content_of
from cl_client_cli.frame.outages import PAUSES, is_outage
from cl_client_cli.tasks.job_engine import JobRequest, Outcome, failed
from cl_client_cli.tasks.resilient_engine import Attempt, last_outcome, may_be_sent

if TYPE_CHECKING:
    from cl_client import JobResponse
    from cl_client_cli.batch.items import Content, Item
    from cl_client_cli.batch.manifest import BatchManifest
    from cl_client_cli.frame.progress import JobProgress, JobRow
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.resilient_engine import ResilientEngine


@dataclass(kw_only=True)
class _NotedAttempt(Attempt):
    """An item under way, each step of which is written down in its batch."""

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
        # At once, and not in a thread: what dies before this line is submitted a second time.
        self.manifest.submitted(self.item, job.job_id)
        super().accepted(job)


@dataclass(slots=True)
class BatchRun:
    """One run of a batch.

    Attributes:
        engine: Runs the jobs, through outages.
        manifest: The batch.
        progress: Is shown what happens.
        terminal: Where outcomes are told.
        retries: How often a transient failure is tried again.
        retry_failed: Whether to try again, too, what has failed for good.
        ended: How many succeeded, failed, were copied, and were found unchanged, so far.
    """

    engine: ResilientEngine
    manifest: BatchManifest
    progress: JobProgress
    terminal: Terminal
    retries: int
    retry_failed: bool = False
    ended: Counter[str] = field(default_factory=Counter[str])
    _under_way: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary[tuple[str, str, str], asyncio.Lock]
    )

    async def run(self, *, concurrency: int) -> None:
        """Run what is left of the batch.

        Raises:
            ServerUnavailableError: The server was gone for too long.
            AuthenticationError: A login is needed.
            PermissionDeniedError: The user may not do this.
        """
        pending = self.manifest.pending(retry_failed=self.retry_failed)
        async with aclosing(map_concurrently(self._run_item, pending, concurrency=concurrency)) as outcomes:
            async for _, outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
                if outcome is not None:
                    self.terminal.record(outcome.as_json())

    async def _run_item(self, item: Item) -> Outcome | None:
        """Run an item; None where there was nothing to do."""
        request = _request(item)
        row = self.progress.start(request.name, request.task)
        outcome = await self._outcome(item, request, row)
        self.progress.end(row, failed=outcome is not None and outcome.error is not None)
        return outcome

    async def _outcome(self, item: Item, request: JobRequest, row: JobRow) -> Outcome | None:
        try:
            content = await asyncio.to_thread(content_of, item.source)
        except OSError as exc:
            if (known := item.known_content()) is None:
                return self._end(item, failed(request, exc), None)
            content = known  # its job has the file, and perhaps its result by now
        if item.is_settled(content, retry_failed=self.retry_failed):
            self.manifest.touched(item, content)
            self.ended["unchanged"] += 1
            return None
        if item.state == "done":
            self.manifest.reopened(item)  # nobody may copy what is about to be replaced
        # Of items with the same content, task and parameters one is run, and the others are copied from it.
        same = self._under_way.setdefault((content.digest, item.task, item.params), asyncio.Lock())
        async with same:
            if (copied := await self._copy(item, request, content)) is not None:
                return self._end(item, copied, content)
            attempt = _NotedAttempt(
                request, row, item.known_job(content), manifest=self.manifest, item=item, content=content
            )
            return self._end(item, await self._to_the_end(attempt), content)

    async def _copy(self, item: Item, request: JobRequest, content: Content) -> Outcome | None:
        """Copy the result of another item of the same content; None where there is none."""
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
            self.ended["submitted"] += 1  # nobody waits for it; the next run takes it up
        else:
            self.manifest.ended(item, outcome, content)
            self.ended["done" if outcome.error is None else "failed"] += 1
        return outcome

    async def _to_the_end(self, attempt: Attempt) -> Outcome:
        """Run an item until it has succeeded, failed for good, or failed too often."""
        retrying = AsyncRetrying(
            retry=retry_if_result(partial(_is_worth_a_retry, attempt)),
            wait=PAUSES,
            stop=stop_after_attempt(self.retries + 1),
            retry_error_callback=last_outcome,
        )
        return await retrying(self.engine.go_on, attempt)


def _is_worth_a_retry(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether to try again now; a job whose time is up has had its time."""
    out_of_time = isinstance(outcome.cause, TimeoutError) and not is_outage(outcome.cause)
    return outcome.transient and not out_of_time and may_be_sent(attempt)


def _request(item: Item) -> JobRequest:
    params = plugin_class(item.task).params_model.model_validate_json(item.params)
    return JobRequest(item.source, item.task, params, item.target, str(item.source))
