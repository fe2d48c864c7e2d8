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
    name="jobs", help="The jobs submitted from this machine.\n\nExample: `cl-client jobs list --since 2d`"
)

ListedStatus: TypeAlias = Literal[
    "queued", "processing", "completed", "failed", "deleted", "unknown", "forgotten"
]
"""Those of `JobStatus`, and what the ledger knows and the server does not."""

_JOB_IDS_HELP = "Jobs by their ids; the first letters suffice where they are unique."
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
    """List the jobs that were submitted from this machine to the server, the latest first.

    The server is asked about what had not ended; "forgotten" is what it no longer knows.

    Example: `cl-client jobs list --status failed --since 2d`

    Args:
        status: Only those of this status.
        task: Only those of this task.
        since: Only those after this: 30m, 2h, 3d, 1w ago, or a date.
        limit: How many at most.
        all: Those at other servers too, as they were last seen.
        refresh: Ask the server; without it none is needed.
        connection: Where the server is.
        output: How results are told.
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
    """Show jobs as the server has them now.

    Example: `cl-client jobs get 3f2a --json`

    Args:
        job_ids: The jobs.
        connection: Where the server is.
        output: How results are told.
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
    """Wait until jobs have ended. Exits with 1 if one of them failed.

    Example: `cl-client jobs wait 3f2a --watch`

    Args:
        job_ids: The jobs.
        timeout: Seconds; by default no limit.
        give_up_after: Seconds for which the server may be gone meanwhile; 0 to end at once.
        watch: Show each change as it comes.
        connection: Where the server is.
        output: How results are told.
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
    """Cancel jobs that have not ended. Servers cannot stop a job, so it is deleted.

    Example: `cl-client jobs cancel 3f2a`

    Args:
        job_ids: The jobs.
        connection: Where the server is.
        output: How results are told.
    """
    from cl_client_cli.jobs.removing import delete_jobs

    return delete_jobs(job_ids, connection, output, only_running=True)


@jobs_app.command
def delete(
    *job_ids: _JobIds,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Delete jobs and their files at the server, whether they have ended or not.

    Example: `cl-client jobs delete 3f2a 77c1`

    Args:
        job_ids: The jobs.
        connection: Where the server is.
        output: How results are told.
    """
    from cl_client_cli.jobs.removing import delete_jobs

    return delete_jobs(job_ids, connection, output, only_running=False)


@jobs_app.command
def prune(*, older_than: str = "30d", output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Remove jobs that ended long ago from the list on this machine; the server is not asked.

    Jobs that were not seen to end, for instance after an interruption, may still run: they go when nothing
    was heard of them for 30 days, or for longer where --older-than says so. Results stay where they are, but
    what they were made of is no longer known, so that only --force makes them again.

    Example: `cl-client jobs prune --older-than 1w`

    Args:
        older_than: 12h, 30d, 8w, or a date.
        output: How results are told.
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
    """Download the files of a job that has completed.

    Example: `cl-client download 3f2a --output-dir results/`

    Args:
        job_id: The job; the first letters of its id suffice where they are unique.
        files: Paths below the job, for instance output/result.json; by default all that it is known to leave.
        output_dir: Where the files go; they keep their folders.
        force: Replace files that are there.
        connection: Where the server is.
        output: How results are told.
    """
    from cl_client_cli.jobs.download import download_files

    return download_files(job_id, files, output_dir, connection, output, force=force)
