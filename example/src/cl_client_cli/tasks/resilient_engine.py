"""Runs a job through outages of its server; plugin commands and batches both do."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from cl_client.exceptions import JobNotFoundError, ServerBusyError, ServerUnavailableError
from cl_client_cli.frame.outages import PAUSES, is_outage
from cl_client_cli.tasks.job_engine import CONCERNS_ALL_JOBS, Outcome, failed
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client import JobResponse
    from cl_client_cli.frame.outages import Outages
    from cl_client_cli.tasks.job_engine import JobEngine, JobObserver, JobRequest

_MOST_UNANSWERED: Final = 3


@dataclass(slots=True)
class Attempt:
    """A request under way, and its job as soon as there is one, which outlives any outage.

    Attributes:
        request: The request.
        observer: Is shown how its job comes along.
        job_id: Its job; None where there is none yet.
        unanswered: How often its file was sent and nobody said what became of it.
        on_accepted: Called when there is a job.
    """

    request: JobRequest
    observer: JobObserver
    job_id: str | None = None
    unanswered: int = 0
    on_accepted: Callable[[], None] | None = None

    def sent(self) -> None:
        """See `SubmissionWatcher`."""
        self.unanswered += 1

    def refused(self) -> None:
        """See `SubmissionWatcher`."""
        self.unanswered -= 1

    def accepted(self, job: JobResponse) -> None:
        """See `SubmissionWatcher`."""
        self.unanswered -= 1
        self.job_id = job.job_id
        if self.on_accepted is not None:
            self.on_accepted()


@dataclass(slots=True)
class ResilientEngine:
    """Runs jobs, and goes on with them after each outage of the server.

    A file whose submission was not answered is sent again, as nobody can know whether there is a job of it;
    but not often, as the answer may be what cannot come, for instance through a gateway that waits too short.

    Attributes:
        engine: Runs each job.
        outages: Waits for the server where it is gone.
        unanswered: How many submissions had no answer, of all attempts so far.
    """

    engine: JobEngine
    outages: Outages
    unanswered: int = 0

    async def run(self, request: JobRequest, observer: JobObserver) -> Outcome:
        """Run a request that has no job yet; see `go_on`."""
        return await self.go_on(Attempt(request, observer, on_accepted=self.outages.heard))

    async def go_on(self, attempt: Attempt) -> Outcome:
        """Run an attempt to its end, unless it alone meets outages for too long: then it has failed.

        Raises:
            ServerUnavailableError: The server was gone for too long.
            AuthenticationError: A login is needed.
            PermissionDeniedError: The user may not do this.
            sqlite3.Error: It cannot be written down.
        """
        retrying = AsyncRetrying(
            retry=retry_if_result(partial(_goes_on, attempt)),
            wait=PAUSES,
            stop=self.outages.has_waited_enough,
            retry_error_callback=_given_up,
        )
        before = attempt.unanswered  # a batch goes on with an attempt that it had given up
        try:
            return await retrying(self._try, attempt)
        finally:
            self.unanswered += attempt.unanswered - before

    def say_unanswered(self) -> None:
        """Say that jobs may run of which nobody knows the ids, if there may be any."""
        if self.unanswered:
            counts = f"{counted(self.unanswered, 'submission')} had no answer"
            self.outages.terminal.say(f"{counts}: the server may run jobs of them that nobody has noted.")

    async def _try(self, attempt: Attempt) -> Outcome:
        before = attempt.unanswered
        try:
            outcome = await self._once(attempt)
        except ServerUnavailableError as exc:
            outcome = failed(attempt.request, exc)
        except (*CONCERNS_ALL_JOBS, sqlite3.Error):
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, the other jobs have no part in it
            outcome = failed(attempt.request, RuntimeError(f"{type(exc).__name__}: {exc}"))
        if isinstance(outcome.cause, ServerBusyError):
            attempt.unanswered = before  # that is an answer
        if _goes_on(attempt, outcome) and outcome.cause is not None:
            await self.outages.wait(outcome.cause)
        return outcome

    async def _once(self, attempt: Attempt) -> Outcome:
        if attempt.job_id is not None:
            try:
                return await self.engine.take_up(attempt.request, attempt.job_id, attempt.observer)
            except JobNotFoundError:  # forgotten, or deleted by somebody
                attempt.job_id = None
        return await self.engine.run(attempt.request, attempt.observer, watcher=attempt)


def _goes_on(attempt: Attempt, outcome: Outcome) -> bool:
    return is_outage(outcome.cause) and may_be_sent(attempt)


def may_be_sent(attempt: Attempt) -> bool:
    """Whether an attempt has a job, or may be sent once more."""
    return attempt.job_id is not None or attempt.unanswered < _MOST_UNANSWERED


def _given_up(state: RetryCallState) -> Outcome:
    outcome = last_outcome(state)
    if not state.idle_for:
        return outcome
    return replace(outcome, error=f"{outcome.error} (tried for {state.idle_for:.0f} s)")


def last_outcome(state: RetryCallState) -> Outcome:
    """What the last of several tries has come to.

    Raises:
        RuntimeError: There was none, against what Tenacity promises.
    """
    if state.outcome is None:
        raise RuntimeError("tenacity asks for a result before there was one")
    return cast("Outcome", state.outcome.result())
