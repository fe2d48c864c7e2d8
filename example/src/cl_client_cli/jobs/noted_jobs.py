"""The jobs on a server; every state that a command reads is recorded in the ledger."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from cl_client import map_concurrently
from cl_client.exceptions import (
    AuthenticationError,
    ComputeClientError,
    JobNotFoundError,
    ServerUnavailableError,
)
from cl_client_cli.frame.command_frame import how_it_ends, run_with_client
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ids import full_job_ids
from cl_client_cli.jobs.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cl_client import JobResponse
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions

_AT_A_TIME: Final = 8
_CONCERNS_ALL_JOBS: Final = (ServerUnavailableError, AuthenticationError)
"""Errors that affect all jobs; that a job belongs to another user affects only that job."""


class NotedJobs:
    """The jobs on a server.

    Args:
        context: The client for the server.
        ledger: Where the states of jobs are recorded.
    """

    def __init__(self, context: CommandContext, ledger: Ledger) -> None:
        self.client = context.client
        self.terminal = context.terminal
        self._server = context.server
        self._ledger = ledger

    async def read(self, job_id: str) -> JobResponse:
        """Read a job from the server, and record its state.

        Args:
            job_id: The ID of the job.

        Returns:
            The job.

        Raises:
            JobNotFoundError: The server does not have the job.
        """
        job = await self.client.get_job(job_id)
        await self.note(job)
        return job

    async def note(self, job: JobResponse) -> None:
        """Record the state of a job.

        Args:
            job: The job as last read.
        """
        await asyncio.to_thread(self._ledger.updated, job, server=self._server)

    async def each(
        self, job_ids: Sequence[str], act: Callable[[str], Awaitable[bool]], *, at_a_time: int = _AT_A_TIME
    ) -> int:
        """Do something with several jobs at the same time; an error of one job does not affect the others.

        Args:
            job_ids: The IDs of the jobs.
            act: Called with each job ID; it returns whether it succeeded.
            at_a_time: For how many jobs at the same time.

        Returns:
            The exit code.

        Raises:
            ServerUnavailableError: The server is unreachable.
            AuthenticationError: A login is required.
        """
        codes: set[int] = set()
        async with aclosing(map_concurrently(act, job_ids, concurrency=at_a_time)) as outcomes:
            async for job_id, outcome in outcomes:
                if isinstance(outcome, ComputeClientError) and not isinstance(outcome, _CONCERNS_ALL_JOBS):
                    codes.add(await self._told(job_id, outcome))
                elif isinstance(outcome, Exception):
                    raise outcome
                elif not outcome:
                    codes.add(SOME_FAILED)
        return codes.pop() if len(codes) == 1 else SOME_FAILED if codes else 0

    async def forget(self, job_id: str) -> None:
        """Record that the server does not have a job.

        Args:
            job_id: The ID of the job.
        """
        await asyncio.to_thread(self._ledger.forgotten, job_id, server=self._server)

    async def _told(self, job_id: str, error: ComputeClientError) -> int:
        if isinstance(error, JobNotFoundError):
            await self.forget(job_id)
        code, said = how_it_ends(error)
        self.terminal.error(said if job_id in said else f"{job_id}: {said}")
        return code


def run_on_jobs(
    prefixes: Sequence[str],
    connection: ConnectionOptions,
    output: OutputOptions,
    work: Callable[[NotedJobs, Sequence[str]], Awaitable[int]],
) -> int:
    """Run a command on jobs.

    Args:
        prefixes: Job IDs or their first letters.
        connection: Where the server is, and which login to use.
        output: How results are printed.
        work: The command; called with the jobs of the server and the full job IDs, it returns the exit code.

    Returns:
        The exit code.

    Raises:
        UsageError: No job is given.
    """
    if not prefixes:
        raise UsageError("no job ID given: name at least one job; cl-client jobs list shows the IDs")

    async def with_jobs(context: CommandContext) -> int:
        with Ledger.open() as ledger:
            job_ids = full_job_ids(prefixes, ledger, context.server)
            return await work(NotedJobs(context, ledger), job_ids)

    return run_with_client(connection, output, with_jobs)
