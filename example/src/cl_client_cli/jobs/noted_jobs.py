"""The jobs at a server; whatever a command learns of them is written into the ledger."""

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
"""The server is gone, or a login is needed. That a job is another user's concerns that job alone."""


class NotedJobs:
    """The jobs at a server.

    Args:
        context: The server.
        ledger: What is learned goes there.
    """

    def __init__(self, context: CommandContext, ledger: Ledger) -> None:
        self.client = context.client
        self.terminal = context.terminal
        self._server = context.server
        self._ledger = ledger

    async def read(self, job_id: str) -> JobResponse:
        """The job as the server has it now.

        Raises:
            JobNotFoundError: It has none.
        """
        job = await self.client.get_job(job_id)
        await self.note(job)
        return job

    async def note(self, job: JobResponse) -> None:
        """Write down what was learned of a job."""
        await asyncio.to_thread(self._ledger.updated, job, server=self._server)

    async def each(
        self, job_ids: Sequence[str], act: Callable[[str], Awaitable[bool]], *, at_a_time: int = _AT_A_TIME
    ) -> int:
        """Do something with several jobs at once, and let one's trouble not be the others'.

        Args:
            job_ids: The jobs.
            act: Does it with one of them; whether all was well.
            at_a_time: With how many at once.

        Returns:
            The command's exit code.

        Raises:
            ServerUnavailableError: The server is gone.
            AuthenticationError: A login is needed.
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
        """Write down that the server does not know a job."""
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
    """Run a command on the jobs that prefixes of their ids stand for; the process's exit code.

    Raises:
        UsageError: There is none.
    """
    if not prefixes:
        raise UsageError("name at least one job; cl-client jobs list shows them")

    async def with_jobs(context: CommandContext) -> int:
        with Ledger.open() as ledger:
            job_ids = full_job_ids(prefixes, ledger, context.server)
            return await work(NotedJobs(context, ledger), job_ids)

    return run_with_client(connection, output, with_jobs)
