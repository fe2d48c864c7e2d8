"""Runs a job through outages of its server; plugin commands and batches both do."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from cl_client.exceptions import JobNotFoundError, ServerUnavailableError
from cl_client_cli.frame.outages import PAUSES, is_outage
from cl_client_cli.tasks.job_engine import CONCERNS_ALL_JOBS, Outcome, failed

if TYPE_CHECKING:
    from cl_client import JobResponse
    from cl_client_cli.frame.outages import Outages
    from cl_client_cli.tasks.job_engine import JobEngine, JobObserver, JobRequest


@dataclass(slots=True)
class Attempt:
    """A request under way, and its job as soon as there is one, which outlives any outage.

    A submission whose answer was lost is sent again, as nobody can know whether there is a job of it.

    Attributes:
        request: The request.
        observer: Is shown how its job comes along.
        job_id: Its job; None where there is none yet.
    """

    request: JobRequest
    observer: JobObserver
    job_id: str | None = None

    def sent(self) -> None:
        """See `SubmissionWatcher`."""

    def refused(self) -> None:
        """See `SubmissionWatcher`."""

    def accepted(self, job: JobResponse) -> None:
        """See `SubmissionWatcher`."""
        self.job_id = job.job_id


@dataclass(frozen=True, slots=True)
class ResilientEngine:
    """Runs jobs, and goes on with them after each outage of the server.

    Attributes:
        engine: Runs each job.
        outages: Waits for the server where it is gone.
    """

    engine: JobEngine
    outages: Outages

    async def run(self, request: JobRequest, observer: JobObserver) -> Outcome:
        """Run a request that has no job yet; see `go_on`."""
        return await self.go_on(Attempt(request, observer))

    async def go_on(self, attempt: Attempt) -> Outcome:
        """Run an attempt to its end, unless it alone meets outages for too long: then it has failed.

        Raises:
            ServerUnavailableError: The server was gone for too long.
            AuthenticationError: A login is needed.
            PermissionDeniedError: The user may not do this.
            sqlite3.Error: It cannot be written down.
        """
        retrying = AsyncRetrying(
            retry=retry_if_result(_met_outage),
            wait=PAUSES,
            stop=self._has_waited_enough,
            retry_error_callback=last_outcome,
        )
        return await retrying(self._try, attempt)

    def _has_waited_enough(self, state: RetryCallState) -> bool:
        return state.idle_for >= self.outages.give_up_after

    async def _try(self, attempt: Attempt) -> Outcome:
        try:
            outcome = await self._once(attempt)
        except ServerUnavailableError as exc:
            outcome = failed(attempt.request, exc)
        except (*CONCERNS_ALL_JOBS, sqlite3.Error):
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, the other jobs have no part in it
            outcome = failed(attempt.request, RuntimeError(f"{type(exc).__name__}: {exc}"))
        if outcome.cause is not None and is_outage(outcome.cause):
            await self.outages.wait(outcome.cause)
        return outcome

    async def _once(self, attempt: Attempt) -> Outcome:
        if attempt.job_id is not None:
            try:
                return await self.engine.take_up(attempt.request, attempt.job_id, attempt.observer)
            except JobNotFoundError:  # forgotten, or deleted by somebody
                attempt.job_id = None
        return await self.engine.run(attempt.request, attempt.observer, watcher=attempt)


def _met_outage(outcome: Outcome) -> bool:
    return is_outage(outcome.cause)


def last_outcome(state: RetryCallState) -> Outcome:
    """What the last of several tries has come to.

    Raises:
        RuntimeError: There was none, against what Tenacity promises.
    """
    if state.outcome is None:
        raise RuntimeError("tenacity asks for a result before there was one")
    return cast("Outcome", state.outcome.result())
