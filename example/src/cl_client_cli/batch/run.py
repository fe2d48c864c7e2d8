"""Runs a batch: a few items at a time, each once, through outages and interruptions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt

from cl_client import map_concurrently
from cl_client.exceptions import JobNotFoundError, ServerUnavailableError
from cl_client.plugins import plugin_class
from cl_client_cli.batch.copies import copy_result
from cl_client_cli.batch.items import content_of
from cl_client_cli.frame.outages import PAUSES, is_outage
from cl_client_cli.tasks.job_engine import CONCERNS_ALL_JOBS, JobRequest, Outcome, failed

if TYPE_CHECKING:
    from cl_client import JobResponse
    from cl_client_cli.batch.items import Content, Item
    from cl_client_cli.batch.manifest import BatchManifest
    from cl_client_cli.frame.outages import Outages
    from cl_client_cli.frame.progress import JobProgress, JobRow
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.job_engine import JobEngine


@dataclass(slots=True)
class _Attempt:
    """An item under way, and its job as soon as there is one, which outlives any outage."""

    manifest: BatchManifest
    item: Item
    request: JobRequest
    row: JobRow
    content: Content
    job_id: str | None

    def sent(self) -> None:
        self.manifest.submitting(self.item, self.content)

    def refused(self) -> None:
        self.manifest.refused(self.item)

    def accepted(self, job: JobResponse) -> None:
        # At once, and not in a thread: what dies before this line is submitted a second time.
        self.manifest.submitted(self.item, job.job_id)
        self.job_id = job.job_id


@dataclass(slots=True)
class BatchRun:
    """One run of a batch.

    Attributes:
        engine: Runs the jobs.
        manifest: The batch.
        progress: Is shown what happens.
        terminal: Where outcomes are told.
        outages: Waits for the server where it is gone.
        retries: How often a transient failure is tried again.
        retry_failed: Whether to try again, too, what has failed for good.
        ended: How many succeeded, failed, were copied, and were found unchanged, so far.
    """

    engine: JobEngine
    manifest: BatchManifest
    progress: JobProgress
    terminal: Terminal
    outages: Outages
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
            attempt = _Attempt(self.manifest, item, request, row, content, item.known_job(content))
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

    async def _to_the_end(self, attempt: _Attempt) -> Outcome:
        """Run an item until it has succeeded, failed for good, or failed too often."""
        retrying = AsyncRetrying(
            retry=retry_if_result(_is_worth_a_retry),
            wait=PAUSES,
            stop=stop_after_attempt(self.retries + 1),
            retry_error_callback=_last_outcome,
        )
        return await retrying(self._past_outages, attempt)

    async def _past_outages(self, attempt: _Attempt) -> Outcome:
        """Run an item through outages, unless it alone meets them for too long."""
        retrying = AsyncRetrying(
            retry=retry_if_result(_met_outage),
            wait=PAUSES,
            stop=self._has_waited_enough,
            retry_error_callback=_last_outcome,
        )
        return await retrying(self._try, attempt)

    def _has_waited_enough(self, state: RetryCallState) -> bool:
        return state.idle_for >= self.outages.give_up_after

    async def _try(self, attempt: _Attempt) -> Outcome:
        try:
            outcome = await self._attempt(attempt)
        except ServerUnavailableError as exc:
            outcome = failed(attempt.request, exc)
        except (*CONCERNS_ALL_JOBS, sqlite3.Error):
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, the other items have no part in it
            outcome = failed(attempt.request, RuntimeError(f"{type(exc).__name__}: {exc}"))
        if outcome.cause is not None and is_outage(outcome.cause):
            await self.outages.wait(outcome.cause)
        return outcome

    async def _attempt(self, attempt: _Attempt) -> Outcome:
        if attempt.job_id is not None:
            try:
                return await self.engine.take_up(attempt.request, attempt.job_id, attempt.row)
            except JobNotFoundError:  # forgotten, or deleted by somebody
                attempt.job_id = None
        return await self.engine.run(attempt.request, attempt.row, watcher=attempt)


def _is_worth_a_retry(outcome: Outcome) -> bool:
    """Whether to try again now; a job whose time is up has had its time."""
    out_of_time = isinstance(outcome.cause, TimeoutError) and not is_outage(outcome.cause)
    return outcome.transient and not out_of_time


def _met_outage(outcome: Outcome) -> bool:
    return is_outage(outcome.cause)


def _last_outcome(state: RetryCallState) -> Outcome:
    if state.outcome is None:
        raise RuntimeError("tenacity asks for a result before there was one")
    return cast("Outcome", state.outcome.result())


def _request(item: Item) -> JobRequest:
    params = plugin_class(item.task).params_model.model_validate_json(item.params)
    return JobRequest(item.source, item.task, params, item.target, str(item.source))
