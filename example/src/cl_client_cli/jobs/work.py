"""The work of `cl-client jobs`: the ledger, and the server's word on what is in it."""

from __future__ import annotations

import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client import JobStatus, map_concurrently
from cl_client.exceptions import JobNotFoundError, JobTimeoutError, ServerUnavailableError
from cl_client_cli.frame.command_frame import NoServerError, open_context, run_guarded, run_with_client
from cl_client_cli.frame.exit_codes import SERVER_UNREACHABLE, SOME_FAILED
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.tables import facts_table
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import FORGOTTEN, Ledger
from cl_client_cli.jobs.relative_times import ago, parse_time
from cl_client_cli.settings.resolved import load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cl_client import JobResponse
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.jobs.ledger import LedgerEntry

_READS_AT_A_TIME: Final = 8
_SHORT_ID: Final = 8
_STYLES: Final = {"completed": "green", "failed": "red", "deleted": "dim", FORGOTTEN: "dim"}
_MAY_STILL_RUN: Final = timedelta(days=30)
"""For so long after the last news of it: servers list no jobs, so what is removed cannot be found again."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted; None stands for all."""

    status: str | None = None
    task: str | None = None
    since: str | None = None
    limit: int = 50

    def __post_init__(self) -> None:
        known = {*map(str, JobStatus), FORGOTTEN}
        if self.status is not None and self.status not in known:
            raise UsageError(f"--status {self.status}: must be one of {', '.join(sorted(known))}")
        if self.limit < 1:
            raise UsageError(f"--limit {self.limit}: must be at least 1")

    def entries(self, ledger: Ledger, server: str | None) -> list[LedgerEntry]:
        """The jobs of the ledger that are wanted, of one server or, with None, of all."""
        since = None if self.since is None else parse_time(self.since, "--since")
        task = None if self.task is None else self.task.replace("-", "_")
        return ledger.entries(server=server, status=self.status, task=task, since=since, limit=self.limit)


def list_jobs(
    wanted: JobFilter,
    connection: ConnectionOptions,
    output: OutputOptions,
    *,
    refresh: bool,
    everywhere: bool,
) -> int:
    """List jobs; the process's exit code."""

    async def work(terminal: Terminal) -> int:
        server = load_settings(connection).client.base_url
        with Ledger.open() as ledger:
            reached = not refresh or await _refreshed(terminal, ledger, connection, server)
            entries = wanted.entries(ledger, None if everywhere else server)
            _show(terminal, entries, with_server=everywhere)
            if not entries:
                elsewhere = 0 if everywhere else len(wanted.entries(ledger, None))
                _say_where_they_are(terminal, elsewhere)
        return 0 if reached else SERVER_UNREACHABLE

    return run_guarded(output, work)


def _say_where_they_are(terminal: Terminal, elsewhere: int) -> None:
    if elsewhere:
        terminal.say(f"There is no such job at this server, but {elsewhere} at others: --all lists them.")
    else:
        terminal.say("There is no such job. The list has what was submitted from this machine.")


async def _refreshed(terminal: Terminal, ledger: Ledger, connection: ConnectionOptions, server: str) -> bool:
    """Ask the server about what had not ended, if there is anything; whether it could be reached."""
    running = ledger.running(server)
    if not running:
        return True
    try:
        async with open_context(connection, terminal) as context:
            await _refresh(context, ledger, running)
    except (NoServerError, ServerUnavailableError) as exc:
        terminal.error(f"this is what was known, as the server cannot be reached: {exc}")
        return False
    return True


async def _refresh(context: CommandContext, ledger: Ledger, running: Sequence[LedgerEntry]) -> None:
    read = map_concurrently(
        context.client.get_job, [it.job_id for it in running], concurrency=_READS_AT_A_TIME
    )
    async with aclosing(read) as outcomes:
        async for job_id, job in outcomes:
            if isinstance(job, JobNotFoundError):
                ledger.forgotten(job_id, server=context.server)
            elif isinstance(job, Exception):
                raise job
            else:
                ledger.updated(job, server=context.server)


def _show(terminal: Terminal, entries: Sequence[LedgerEntry], *, with_server: bool) -> None:
    for it in entries:
        terminal.record(it)
    by_server: dict[str, list[LedgerEntry]] = {}
    for it in entries:
        by_server.setdefault(it.server, []).append(it)
    for server, jobs in by_server.items():
        if with_server:
            terminal.result(Text(server, style="bold"))
        terminal.result(_table(jobs))


def _table(entries: Sequence[LedgerEntry]) -> Table:
    now = time.time()
    table = Table("Job", "Task", "Status", "File", "When")
    for column in table.columns:
        column.no_wrap = True
    table.columns[3].overflow = "ellipsis"
    for it in entries:
        state = f"{it.status} {it.progress} %" if it.status == "processing" else it.status
        table.add_row(
            it.job_id[:_SHORT_ID],
            it.task,
            Text(state, style=_STYLES.get(it.status, "yellow")),
            Text(PurePath(it.source).name),
            ago(it.submitted_at, now),
        )
    return table


def show_jobs(job_ids: Sequence[str], connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show jobs; the process's exit code."""

    async def show(context: CommandContext, job_id: str) -> bool:
        job = await context.client.get_job(job_id)
        context.terminal.record(job)
        context.terminal.result(_described(job))
        return True

    return _for_each(job_ids, connection, output, show)


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
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _duration(begin: int | None, end: int | None) -> str:
    return "" if begin is None or end is None else f"{(end - begin) / 1000:.1f} s"


def wait_for_jobs(
    job_ids: Sequence[str],
    timeout: float | None,
    connection: ConnectionOptions,
    output: OutputOptions,
    *,
    watch: bool,
) -> int:
    """Wait for jobs; the process's exit code."""

    async def wait(context: CommandContext, job_id: str, progress: JobProgress) -> bool:
        known = await context.client.get_job(job_id)
        row = progress.start(job_id[:_SHORT_ID], known.task_type, str(known.status))
        subscription = context.client.subscribe_job_updates(job_id, on_progress=row.update)
        try:
            job = await context.client.wait_for_job(job_id, timeout=timeout)
        finally:
            context.client.unsubscribe(subscription)
            progress.end(row, failed=False)
        context.terminal.record(job)
        words = f": {job.error_message}" if job.error_message else ""
        context.terminal.result(f"{job.job_id}: {job.task_type} {job.status}{words}")
        return job.status == JobStatus.COMPLETED

    async def wait_for_all(context: CommandContext) -> int:
        with JobProgress(context.terminal, len(job_ids), watch=watch) as progress:
            return await _each(context, job_ids, partial(wait, progress=progress))

    return run_with_client(connection, output, wait_for_all)


def delete_jobs(
    job_ids: Sequence[str], connection: ConnectionOptions, output: OutputOptions, *, only_running: bool
) -> int:
    """Delete jobs at the server; the process's exit code."""

    async def delete(context: CommandContext, job_id: str) -> bool:
        job = await context.client.get_job(job_id)
        if only_running and job.status.is_terminal:
            context.terminal.error(f"{job_id}: it has ended ({job.status}); jobs delete removes it")
            return False
        await context.client.delete_job(job_id)
        gone = job.model_copy(update={"status": JobStatus.DELETED})
        context.terminal.record(gone)
        context.terminal.result(f"{job_id}: deleted")
        with Ledger.open() as ledger:
            ledger.updated(gone, server=context.server)
        return True

    return _for_each(job_ids, connection, output, delete)


def prune_jobs(older_than: str, output: OutputOptions) -> int:
    """Remove old jobs from the ledger; the process's exit code."""

    async def prune(terminal: Terminal) -> int:
        with Ledger.open() as ledger:
            before = parse_time(older_than, "--older-than")
            unheard_of_since = min(before, datetime.now(UTC) - _MAY_STILL_RUN)
            count = ledger.prune(ended_before=before, unheard_of_since=unheard_of_since)
        terminal.record({"removed": count})
        terminal.result(f"{count} removed")
        return 0

    return run_guarded(output, prune)


def _for_each(
    job_ids: Sequence[str],
    connection: ConnectionOptions,
    output: OutputOptions,
    act: Callable[[CommandContext, str], Awaitable[bool]],
) -> int:
    async def work(context: CommandContext) -> int:
        return await _each(context, job_ids, act)

    return run_with_client(connection, output, work)


async def _each(
    context: CommandContext, job_ids: Sequence[str], act: Callable[[CommandContext, str], Awaitable[bool]]
) -> int:
    """Do something with each of some jobs at once, and let one's trouble not be the others'."""
    if not job_ids:
        raise UsageError("name at least one job; cl-client jobs list shows them")
    full_ids = [full_job_id(prefix, context.server) for prefix in job_ids]
    failures = 0
    calls = map_concurrently(partial(act, context), full_ids, concurrency=_READS_AT_A_TIME)
    async with aclosing(calls) as outcomes:
        async for _, outcome in outcomes:
            if isinstance(outcome, JobNotFoundError | JobTimeoutError):
                context.terminal.error(str(outcome))
            elif isinstance(outcome, Exception):
                raise outcome
            failures += outcome is not True
    return SOME_FAILED if failures else 0


def full_job_id(prefix: str, server: str) -> str:
    """The id that a prefix stands for, as far as the ledger knows it; else the prefix itself.

    Raises:
        UsageError: It stands for several.
    """
    with Ledger.open() as ledger:
        found = ledger.find(prefix, server=server)
    if prefix in found or not found:
        return prefix
    if len(found) > 1:
        raise UsageError(f"{prefix}: {len(found)} jobs begin so: {', '.join(found[:5])}; write more of it")
    return found[0]
