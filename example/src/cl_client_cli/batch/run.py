"""Runs a batch: a few items at a time, each once, through outages and interruptions."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast
from weakref import WeakValueDictionary

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from cl_client import map_concurrently
from cl_client.exceptions import JobNotFoundError, ServerUnavailableError
from cl_client.plugins import plugin_class
from cl_client_cli.tasks.inputs import content_digest
from cl_client_cli.tasks.job_engine import JobRequest, Outcome, failed
from cl_client_cli.tasks.table import TaskResult

if TYPE_CHECKING:
    from cl_client import ComputeClient, JobResponse
    from cl_client_cli.batch.manifest import BatchManifest, Item
    from cl_client_cli.frame.progress import JobProgress, JobRow
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.job_engine import JobEngine

_LONGEST_PAUSE: Final = 30.0
_FIRST_PAUSE: Final = 0.5


@dataclass(slots=True)
class _Attempt:
    """An item under way, and its job as soon as there is one, which outlives any outage."""

    manifest: BatchManifest
    item: Item
    request: JobRequest
    row: JobRow
    digest: str
    job_id: str | None

    def sent(self) -> None:
        self.manifest.submitting(self.item, self.digest)

    def accepted(self, job: JobResponse) -> None:
        # At once, and not in a thread: what dies before this line is submitted a second time.
        self.manifest.submitted(self.item, job.job_id)
        self.job_id = job.job_id


@dataclass(slots=True)
class BatchRun:
    """One run of a batch.

    Attributes:
        client: The client.
        engine: Runs the jobs.
        manifest: The batch.
        progress: Is shown what happens.
        terminal: Where outcomes are told.
        retries: How often a transient failure is tried again.
        give_up_after: Seconds for which the server may be gone.
        ended: How many succeeded, failed and were copied, so far.
    """

    client: ComputeClient
    engine: JobEngine
    manifest: BatchManifest
    progress: JobProgress
    terminal: Terminal
    retries: int
    give_up_after: float
    ended: Counter[str] = field(default_factory=Counter[str])
    _under_way: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary[tuple[str, str, str], asyncio.Lock]
    )
    _outage: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, *, concurrency: int, retry_failed: bool) -> None:
        """Run what is left of the batch.

        Raises:
            ServerUnavailableError: The server was gone for too long.
            AuthenticationError: A login is needed.
            PermissionDeniedError: The user may not do this.
        """
        pending = self.manifest.pending(retry_failed=retry_failed)
        async with aclosing(map_concurrently(self._run_item, pending, concurrency=concurrency)) as outcomes:
            async for _, outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
                self.terminal.record(outcome.as_json())

    async def _run_item(self, item: Item) -> Outcome:
        request = _request(item)
        row = self.progress.start(request.name, request.task)
        outcome = await self._outcome(item, request, row)
        self.progress.end(row, failed=outcome.error is not None)
        return outcome

    async def _outcome(self, item: Item, request: JobRequest, row: JobRow) -> Outcome:
        try:
            digest = await asyncio.to_thread(content_digest, item.source)
        except OSError as exc:
            return self._end(item, failed(request, exc), None)
        # Of items with the same content, task and parameters one is run, and the others are copied from it.
        same = self._under_way.setdefault((digest, item.task, item.params), asyncio.Lock())
        async with same:
            twin = self.manifest.twin(item, digest)
            if twin is not None and (copied := await asyncio.to_thread(_copy_result, twin, item)):
                self.ended["copied"] += 1
                return self._end(item, Outcome(request, result=copied), digest)
            known = item.job_id if item.state == "submitted" and item.digest == digest else None
            outcome = await self._to_the_end(_Attempt(self.manifest, item, request, row, digest, known))
            return self._end(item, outcome, digest)

    def _end(self, item: Item, outcome: Outcome, digest: str | None) -> Outcome:
        if outcome.result is None and outcome.error is None:
            self.ended["submitted"] += 1  # nobody waits for it; the next run takes it up
        else:
            self.manifest.ended(item, outcome, digest)
            self.ended["failed" if outcome.error else "done"] += 1
        return outcome

    async def _to_the_end(self, attempt: _Attempt) -> Outcome:
        """Run an item until it has succeeded, failed for good, or failed too often."""
        retrying = AsyncRetrying(
            retry=retry_if_result(_is_transient),
            wait=wait_random_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE),
            stop=stop_after_attempt(self.retries + 1),
            retry_error_callback=_last_outcome,
        )
        return await retrying(self._past_outages, attempt)

    async def _past_outages(self, attempt: _Attempt) -> Outcome:
        while True:
            try:
                return await self._try(attempt)
            except JobNotFoundError:  # forgotten, or deleted by somebody
                attempt.job_id = None
            except ServerUnavailableError as exc:
                await self._wait_for_server(exc)

    async def _try(self, attempt: _Attempt) -> Outcome:
        if attempt.job_id is not None:
            return await self.engine.take_up(attempt.request, attempt.job_id, attempt.row)
        return await self.engine.run(attempt.request, attempt.row, watcher=attempt)

    async def _wait_for_server(self, gone: ServerUnavailableError) -> None:
        """Wait until the server answers again; one asks, all wait."""
        if self.give_up_after <= 0:
            raise gone
        waited_for = self._outage.locked()
        async with self._outage:
            if waited_for:
                return  # whoever asked has got an answer
            self.terminal.say(f"The server does not answer ({gone}); trying again ...")
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(ServerUnavailableError),
                wait=wait_random_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE),
                stop=stop_after_delay(self.give_up_after),
            )
            try:
                await retrying(self.client.health)
            except RetryError:
                raise gone from None
            self.terminal.say("The server answers again.")


def _is_transient(outcome: Outcome) -> bool:
    return outcome.transient


def _last_outcome(state: RetryCallState) -> Outcome:
    if state.outcome is None:
        raise RuntimeError("tenacity asks for a result before there was one")
    return cast("Outcome", state.outcome.result())


def _request(item: Item) -> JobRequest:
    params = plugin_class(item.task).params_model.model_validate_json(item.params)
    return JobRequest(item.source, item.task, params, item.target, str(item.source))


def _copy_result(twin: Item, item: Item) -> TaskResult | None:
    """Copy the result of an item with the same content; None where it is no longer there."""
    if not twin.target.exists() or twin.data is None:
        return None
    item.target.parent.mkdir(parents=True, exist_ok=True)
    if twin.target.is_dir():
        shutil.copytree(twin.target, item.target, dirs_exist_ok=True)
    else:
        shutil.copy2(twin.target, item.target)
        beside, place = twin.target.with_suffix(""), item.target.with_suffix("")
        if beside.is_dir():  # the faces that were cut out
            shutil.copytree(beside, place, dirs_exist_ok=True)
    return TaskResult(twin.summary or "", twin.data, (item.target,))
