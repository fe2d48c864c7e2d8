"""The work of `cl-client jobs cancel`, `delete` and `prune`: removes jobs from the server or the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cl_client import JobStatus
from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.jobs.noted_jobs import NotedJobs, run_on_jobs
from cl_client_cli.jobs.relative_times import parse_time
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.frame.terminal import Terminal

_MAY_STILL_RUN: Final = timedelta(days=30)
"""For so long after its last update. Servers do not list jobs, so a job removed too early is lost."""


def delete_jobs(
    prefixes: Sequence[str], connection: ConnectionOptions, output: OutputOptions, *, only_running: bool
) -> int:
    """Delete jobs on the server.

    Args:
        prefixes: Job IDs or their first letters.
        connection: Where the server is, and which login to use.
        output: How results are printed.
        only_running: Reject jobs that have ended.

    Returns:
        The exit code.
    """

    async def delete_all(jobs: NotedJobs, job_ids: Sequence[str]) -> int:
        async def delete(job_id: str) -> bool:
            job = await jobs.read(job_id)
            if only_running and job.status.is_terminal:
                jobs.terminal.error(
                    f"{job_id}: the job has already ended ({job.status}); to delete it: cl-client jobs delete"
                )
                return False
            await jobs.client.delete_job(job_id)
            gone = job.model_copy(update={"status": JobStatus.DELETED})
            await jobs.note(gone)
            jobs.terminal.record(gone)
            jobs.terminal.result(f"{job_id}: deleted")
            return True

        return await jobs.each(job_ids, delete)

    return run_on_jobs(prefixes, connection, output, delete_all)


def prune_jobs(older_than: str, output: OutputOptions) -> int:
    """Remove old jobs from the ledger.

    Args:
        older_than: See `parse_time`.
        output: How results are printed.

    Returns:
        The exit code.

    Raises:
        UsageError: The time is invalid.
    """
    before = parse_time(older_than, "--older-than")

    async def prune(terminal: Terminal) -> int:
        unheard_of_since = min(before, datetime.now(UTC) - _MAY_STILL_RUN)
        with Ledger.open() as ledger:
            count = ledger.prune(ended_before=before, unheard_of_since=unheard_of_since)
        terminal.record({"removed": count})
        terminal.result(f"{counted(count, 'job')} removed")
        return 0

    return run_guarded(output, prune)
