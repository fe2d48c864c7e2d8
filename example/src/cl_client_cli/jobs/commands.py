"""The commands `cl-client jobs ...` and `cl-client download`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, Parameter

from cl_client_cli.frame.options import (
    DEFAULT_CONNECTION,
    DEFAULT_OUTPUT,
    ConnectionOptions,
    Flag,
    OutputOptions,
)

jobs_app = App(
    name="jobs",
    help="Manage the jobs submitted from this machine.\n\nExample: `cl-client jobs list --since 2d`",
)

ListedStatus: TypeAlias = Literal[
    "queued", "processing", "completed", "failed", "deleted", "unknown", "forgotten"
]
"""The values of `JobStatus`, and ``forgotten`` for jobs that only the ledger knows."""

_JOB_IDS_HELP = "Job IDs; the first letters are enough if they are unique."
_JobIds = Annotated[str, Parameter(help=_JOB_IDS_HELP)]


@jobs_app.command(name="list")
def list_(
    *,
    status: ListedStatus | None = None,
    task: str | None = None,
    since: str | None = None,
    limit: int = 50,
    all: Flag = False,  # noqa: A002 - the option's name
    refresh: bool = True,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """List the jobs submitted from this machine to the server, the latest first.

    The status of unfinished jobs is read from the server; "forgotten" means that the server no longer has the
    job.

    Example: `cl-client jobs list --status failed --since 2d`

    Args:
        status: Show only jobs with this status.
        task: Show only jobs of this task.
        since: Show only jobs submitted after this time: 30m, 2h, 3d or 1w ago, or a date.
        limit: Maximum number of jobs to show.
        all: Show jobs on other servers too, with their last known status.
        refresh: Read the current status from the server; --no-refresh needs no server.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.jobs.listing import JobFilter, list_jobs

    wanted = JobFilter.of(status=status, task=task, since=since, limit=limit)
    return list_jobs(
        wanted,
        connection,
        output,
        refresh=refresh,
        everywhere=all,
    )


@jobs_app.command
def get(
    *job_ids: _JobIds,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Show jobs and their results, as read from the server.

    Example: `cl-client jobs get 3f2a --json`

    Args:
        job_ids: The jobs.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.jobs.showing import show_jobs

    return show_jobs(job_ids, connection, output)


@jobs_app.command
def wait(
    *job_ids: _JobIds,
    timeout: float | None = None,
    give_up_after: float = 300.0,
    watch: Flag = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Wait until jobs have ended. The exit code is 1 if a job failed.

    Example: `cl-client jobs wait 3f2a --watch`

    Args:
        job_ids: The jobs.
        timeout: Timeout in seconds; by default no limit.
        give_up_after: Seconds to wait for a server that is unreachable; 0 to fail immediately.
        watch: Print each change.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.jobs.following import wait_for_jobs

    return wait_for_jobs(
        job_ids,
        timeout,
        connection,
        output,
        give_up_after=give_up_after,
        watch=watch,
    )


@jobs_app.command
def cancel(
    *job_ids: _JobIds,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Cancel unfinished jobs. Servers cannot stop a running job, so the job is deleted.

    Example: `cl-client jobs cancel 3f2a`

    Args:
        job_ids: The jobs.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.jobs.removing import delete_jobs

    return delete_jobs(job_ids, connection, output, only_running=True)


@jobs_app.command
def delete(
    *job_ids: _JobIds,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Delete jobs and their files on the server, finished or not.

    Example: `cl-client jobs delete 3f2a 77c1`

    Args:
        job_ids: The jobs.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.jobs.removing import delete_jobs

    return delete_jobs(job_ids, connection, output, only_running=False)


@jobs_app.command
def prune(*, older_than: str = "30d", output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Remove old jobs from the list on this machine; nothing is deleted on the server.

    Finished jobs are removed if they ended before --older-than. Jobs without a known end may still be
    running: they are removed after 30 days without news, or after --older-than if that is longer. Results
    stay where they are, but it is no longer known what they were made from, so only --force makes them again.

    Example: `cl-client jobs prune --older-than 1w`

    Args:
        older_than: Age such as 12h, 30d or 8w, or a date.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.jobs.removing import prune_jobs

    return prune_jobs(older_than, output)


def download(
    job_id: str,
    *files: str,
    output_dir: Annotated[Path, Parameter(alias="-d")] = Path(),
    force: Annotated[Flag, Parameter(alias="-f")] = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Download the output files of a completed job.

    Example: `cl-client download 3f2a --output-dir results/`

    Args:
        job_id: Job ID; the first letters are enough if they are unique.
        files: Paths inside the job, for instance output/result.json, or as the server names them; by default
            all known output files.
        output_dir: Folder to write the files to, with their subfolders.
        force: Overwrite existing files.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.jobs.download import download_files

    return download_files(job_id, files, output_dir, connection, output, force=force)
