"""Runs jobs despite server outages; used by task commands and batches."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from cl_client.exceptions import JobNotFoundError, ServerBusyError, ServerUnavailableError
from cl_client_cli.frame.outages import PAUSES, is_outage
from cl_client_cli.tasks.job_engine import CONCERNS_ALL_JOBS
from cl_client_cli.tasks.job_outcome import Outcome, failed
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client import JobResponse
    from cl_client_cli.frame.outages import Outages
    from cl_client_cli.tasks.job_engine import JobEngine, JobObserver
    from cl_client_cli.tasks.job_outcome import JobRequest

_MOST_UNANSWERED: Final = 3


@dataclass(slots=True)
class Attempt:
    """A request in progress, with its job once it is created; the job survives outages.

    Attributes:
        request: The request.
        observer: Receives the progress of the job.
        job_id: The ID of the job; None while there is none.
        unanswered: How often the file was sent without an answer from the server.
        on_accepted: Called when the job is created; None for nothing.
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
        """See `SubmissionWatcher`.

        Args:
            job: The job.
        """
        self.unanswered -= 1
        self.job_id = job.job_id
        if self.on_accepted is not None:
            self.on_accepted()


@dataclass(slots=True)
class ResilientEngine:
    """Runs jobs, and continues with them after each server outage.

    If a submission gets no answer, the file is sent again, because it is unknown whether a job was created.
    That is limited to a few times, because the answer may never come, for instance if a gateway's timeout is
    too short.

    Attributes:
        engine: Runs each job.
        outages: Waits for the server when it is unreachable.
        unanswered: How many submissions got no answer, of all attempts so far.
    """

    engine: JobEngine
    outages: Outages
    unanswered: int = 0

    async def run(self, request: JobRequest, observer: JobObserver) -> Outcome:
        """Run a request that has no job yet; see `go_on`.

        Args:
            request: The request.
            observer: Receives the progress of the job.

        Returns:
            The outcome.
        """
        return await self.go_on(Attempt(request, observer, on_accepted=self.outages.heard))

    async def go_on(self, attempt: Attempt) -> Outcome:
        """Run an attempt to its end; it fails if it alone meets outages for too long.

        Args:
            attempt: The attempt.

        Returns:
            The outcome.

        Raises:
            ServerUnavailableError: The server was unreachable for too long.
            AuthenticationError: A login is required.
            PermissionDeniedError: The user lacks the permission.
            sqlite3.Error: A step cannot be recorded.
        """
        retrying = AsyncRetrying(
            retry=retry_if_result(partial(_goes_on, attempt)),
            wait=PAUSES,
            stop=self.outages.has_waited_enough,
            retry_error_callback=_given_up,
        )
        before = attempt.unanswered  # a batch may continue with an attempt that was given up
        try:
            return await retrying(self._try, attempt)
        finally:
            self.unanswered += attempt.unanswered - before

    def say_unanswered(self) -> None:
        """Print that jobs with unknown IDs may be running, if there may be any."""
        if self.unanswered:
            counts = f"{counted(self.unanswered, 'submission')} had no answer"
            self.outages.terminal.say(f"{counts}: the server may run jobs for them whose IDs are unknown.")

    async def _try(self, attempt: Attempt) -> Outcome:
        before = attempt.unanswered
        try:
            outcome = await self._once(attempt)
        except ServerUnavailableError as exc:
            outcome = failed(attempt.request, exc)
        except (*CONCERNS_ALL_JOBS, sqlite3.Error):
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, it must not affect the other jobs
            outcome = failed(attempt.request, RuntimeError(f"{type(exc).__name__}: {exc}"))
        if isinstance(outcome.cause, ServerBusyError):
            attempt.unanswered = before  # "busy" is an answer
        if _goes_on(attempt, outcome) and outcome.cause is not None:
            await self.outages.wait(outcome.cause)
        return outcome

    async def _once(self, attempt: Attempt) -> Outcome:
        if attempt.job_id is not None:
            try:
                return await self.engine.take_up(attempt.request, attempt.job_id, attempt.observer)
            except JobNotFoundError:  # deleted, or lost by the server
                attempt.job_id = None
        return await self.engine.run(attempt.request, attempt.observer, watcher=attempt)


def _goes_on(attempt: Attempt, outcome: Outcome) -> bool:
    return is_outage(outcome.cause) and may_be_sent(attempt)


def may_be_sent(attempt: Attempt) -> bool:
    """Check whether an attempt has a job, or may send its file again.

    Args:
        attempt: The attempt.

    Returns:
        Whether it may go on.
    """
    return attempt.job_id is not None or attempt.unanswered < _MOST_UNANSWERED


def _given_up(state: RetryCallState) -> Outcome:
    outcome = last_outcome(state)
    if not state.idle_for:
        return outcome
    return replace(outcome, error=f"{outcome.error} (tried for {state.idle_for:.0f} s)")


def last_outcome(state: RetryCallState) -> Outcome:
    """Get the outcome of the last of several retries.

    Args:
        state: The state of the retries.

    Returns:
        The outcome.

    Raises:
        RuntimeError: There was no try yet, which would be a bug in Tenacity.
    """
    if state.outcome is None:
        raise RuntimeError("tenacity asked for the last outcome before the first try")
    return cast("Outcome", state.outcome.result())
