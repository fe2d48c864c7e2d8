"""The work of `cl-client jobs wait`: follows jobs until they have ended."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cl_client import JobStatus
from cl_client_cli.frame.outages import Outages, check_give_up_after
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ids import SHORT_ID
from cl_client_cli.jobs.noted_jobs import NotedJobs, run_on_jobs
from cl_client_cli.tasks.notes import notes_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client import JobResponse
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions


def wait_for_jobs(
    prefixes: Sequence[str],
    timeout: float | None,
    connection: ConnectionOptions,
    output: OutputOptions,
    *,
    give_up_after: float,
    watch: bool,
) -> int:
    """Wait for jobs.

    Args:
        prefixes: Job IDs or their first letters.
        timeout: Timeout in seconds, above 0; None for no limit.
        connection: Where the server is, and which login to use.
        output: How results are printed.
        give_up_after: Seconds to wait for a server that is unreachable; 0 to fail immediately.
        watch: Print each change.

    Returns:
        The exit code.

    Raises:
        UsageError: The timeout or ``give_up_after`` is out of range.
    """
    check_give_up_after(give_up_after)
    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: must be above 0 seconds")

    async def wait_for_all(jobs: NotedJobs, job_ids: Sequence[str]) -> int:
        outages = Outages(jobs.client, jobs.terminal, give_up_after)
        with JobProgress(jobs.terminal, len(job_ids), watch=watch, on_news=outages.moved) as progress:
            wait = partial(_wait, jobs, progress, outages, timeout)
            # All at the same time: it costs little, and the timeout of each starts with the command.
            return await outages.watch(jobs.each(job_ids, wait, at_a_time=len(job_ids)))

    return run_on_jobs(prefixes, connection, output, wait_for_all)


async def _wait(
    jobs: NotedJobs, progress: JobProgress, outages: Outages, seconds: float | None, job_id: str
) -> bool:
    job = await _followed(jobs, progress, outages, seconds, job_id)
    await jobs.note(job)
    jobs.terminal.record(job)
    words = f": {job.error_message}" if job.error_message else ""
    jobs.terminal.result(f"{job.job_id}: {job.task_type} {job.status}{words}")
    for note in notes_in(job.task_output or {}):
        jobs.terminal.warn(f"{job.job_id}: {note}")
    return job.status == JobStatus.COMPLETED


async def _followed(
    jobs: NotedJobs, progress: JobProgress, outages: Outages, seconds: float | None, job_id: str
) -> JobResponse:
    known = await outages.through(partial(jobs.read, job_id))
    row = progress.start(job_id[:SHORT_ID], known.task_type, str(known.status))
    subscription = jobs.client.subscribe_job_updates(job_id, on_progress=row.update)
    succeeded = False
    try:
        job = await jobs.client.wait_for_job(job_id, timeout=seconds)
        succeeded = job.status == JobStatus.COMPLETED
    finally:
        jobs.client.unsubscribe(subscription)
        progress.end(row, failed=not succeeded)
    return job
