"""The work of `cl-client jobs get`: shows jobs as read from the server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cl_client_cli.frame.tables import facts_table
from cl_client_cli.jobs.noted_jobs import NotedJobs, run_on_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from cl_client import JobResponse
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions


def show_jobs(prefixes: Sequence[str], connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show jobs.

    Args:
        prefixes: Job IDs or their first letters.
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def show_all(jobs: NotedJobs, job_ids: Sequence[str]) -> int:
        async def show(job_id: str) -> bool:
            job = await jobs.read(job_id)
            jobs.terminal.record(job)
            jobs.terminal.result(_described(job))
            return True

        return await jobs.each(job_ids, show)

    return run_on_jobs(prefixes, connection, output, show_all)


def _described(job: JobResponse) -> Table:
    facts = {
        "job": job.job_id,
        "task": job.task_type,
        "status": f"{job.status}, {job.progress} %",
        "submitted": _moment(job.created_at),
        "took": _duration(job.started_at, job.completed_at),
        "error": job.error_message or "",
        "parameters": ", ".join(f"{name}={value}" for name, value in job.params.items()),
        "output": ""
        if job.task_output is None
        else json.dumps(job.task_output, ensure_ascii=False, indent=2),
    }
    return facts_table({name: value for name, value in facts.items() if value})


def _moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone()
    except (OverflowError, ValueError, OSError):  # before 1970 on some systems
        return str(milliseconds)
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _duration(begin: int | None, end: int | None) -> str:
    return "" if begin is None or end is None else f"{(end - begin) / 1000:.1f} s"
