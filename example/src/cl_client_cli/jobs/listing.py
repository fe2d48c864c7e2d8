"""The work of `cl-client jobs list`: shows the ledger, after updating unfinished jobs from the server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client.exceptions import AuthenticationError, JobNotFoundError, ServerUnavailableError
from cl_client_cli.frame.command_frame import NoServerError, how_it_ends, open_context, run_guarded
from cl_client_cli.frame.names import screen_name
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ids import SHORT_ID
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.jobs.ledger_entry import FORGOTTEN
from cl_client_cli.jobs.noted_jobs import NotedJobs
from cl_client_cli.jobs.relative_times import ago, parse_time
from cl_client_cli.settings.resolved import load_settings
from cl_client_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Self

    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.jobs.ledger_entry import LedgerEntry

_STYLES: Final = {"completed": "green", "failed": "red", "deleted": "dim", FORGOTTEN: "dim"}


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None means all."""

    status: str | None
    task: str | None
    since: datetime | None
    limit: int

    @classmethod
    def of(cls, *, status: str | None, task: str | None, since: str | None, limit: int) -> Self:
        """Create a filter from options.

        Args:
            status: Only jobs with this status; None for all.
            task: Only jobs of this task, with ``-`` or ``_``; None for all.
            since: Only jobs submitted after this time, see `parse_time`; None for all.
            limit: The maximum number of jobs, at least 1.

        Returns:
            The filter.

        Raises:
            UsageError: An option is invalid.
        """
        known_task = None if task is None else task.replace("-", "_")
        if limit < 1:
            raise UsageError(f"--limit {limit}: must be at least 1")
        return cls(status, known_task, None if since is None else parse_time(since, "--since"), limit)

    def check_task(self, ledger: Ledger) -> None:
        """Check that the task is one of the command line or of an earlier job.

        Args:
            ledger: The ledger of jobs.

        Raises:
            UsageError: The task is unknown.
        """
        task = self.task
        if task is not None and task not in TASKS and not ledger.count(status=None, task=task, since=None):
            raise UsageError(f"--task {task}: unknown task; the tasks are {', '.join(TASKS)}")

    def entries(self, ledger: Ledger, server: str | None) -> list[LedgerEntry]:
        """List the matching jobs.

        Args:
            ledger: The ledger of jobs.
            server: The URL of the server; None for all servers.

        Returns:
            The jobs, the latest first.
        """
        return ledger.entries(
            server=server, status=self.status, task=self.task, since=self.since, limit=self.limit
        )

    def running(self, ledger: Ledger, server: str) -> list[LedgerEntry]:
        """List the unfinished jobs that match, or may match after an update from the server.

        Args:
            ledger: The ledger of jobs.
            server: The URL of the server.

        Returns:
            The jobs, the latest first.
        """
        limit = self.limit if self.status is None else None
        return ledger.running(server, task=self.task, since=self.since, limit=limit)

    def count(self, ledger: Ledger) -> int:
        """Count the matching jobs on all servers.

        Args:
            ledger: The ledger of jobs.

        Returns:
            The number of jobs.
        """
        return ledger.count(status=self.status, task=self.task, since=self.since)


def list_jobs(
    wanted: JobFilter,
    connection: ConnectionOptions,
    output: OutputOptions,
    *,
    refresh: bool,
    everywhere: bool,
) -> int:
    """List jobs.

    Args:
        wanted: Which jobs to list.
        connection: Where the server is, and which login to use.
        output: How results are printed.
        refresh: Update unfinished jobs from the server first.
        everywhere: List the jobs of all servers.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        server = load_settings(connection).client.base_url
        with Ledger.open_to_read() as ledger:
            wanted.check_task(ledger)
            if refresh and not ledger.can_write:
                terminal.say("Showing the last known status: the list is read-only and cannot be updated.")
            running = wanted.running(ledger, server) if refresh and ledger.can_write else []
            code = await _refresh(terminal, ledger, connection, running) if running else 0
            entries = wanted.entries(ledger, None if everywhere else server)
            _show(terminal, entries, with_server=everywhere)
            if not entries:
                _say_where_they_are(terminal, 0 if everywhere else wanted.count(ledger))
        return code

    return run_guarded(output, work)


def _say_where_they_are(terminal: Terminal, elsewhere: int) -> None:
    if elsewhere:
        terminal.say(f"No such jobs on this server, but {elsewhere} on others: --all lists them.")
    else:
        terminal.say("No jobs found. The list contains only jobs submitted from this machine.")


async def _refresh(
    terminal: Terminal, ledger: Ledger, connection: ConnectionOptions, running: Sequence[LedgerEntry]
) -> int:
    """Update jobs from the server; the list is shown even if that fails. Returns the exit code."""
    try:
        async with open_context(connection, terminal) as context:
            jobs = NotedJobs(context, ledger)

            async def ask(job_id: str) -> bool:
                try:
                    await jobs.read(job_id)
                except JobNotFoundError:
                    await jobs.forget(job_id)
                return True

            return await jobs.each([it.job_id for it in running], ask)
    except (NoServerError, ServerUnavailableError, AuthenticationError) as exc:
        code, words = how_it_ends(exc)
        terminal.error(f"showing the last known status: {words}")
        return code


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
        column.no_wrap = column.header != "File"  # only that one gets narrower, then
        column.overflow = "fold"
    for it in entries:
        state = f"{it.status} {it.progress} %" if it.status == "processing" else it.status
        table.add_row(
            it.job_id[:SHORT_ID],
            it.task,
            Text(state, style=_STYLES.get(it.status, "yellow")),
            Text(screen_name(PurePath(it.source).name)),
            ago(it.submitted_at, now),
        )
    return table
