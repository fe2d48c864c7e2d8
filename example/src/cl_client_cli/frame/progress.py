"""What is shown while something takes its time: bars for jobs, and for bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text
from typing_extensions import override

if TYPE_CHECKING:
    from typing import Self

    from rich.progress import Task

    from cl_client import JobResponse
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.job_engine import JobRequest, Outcome

_LINES_BESIDE_ROWS = 3
"""The row of the total, one for what had no room, and one below for the cursor."""
_SLOW = 1.0


class _RateColumn(ProgressColumn):
    """Jobs per second, or per minute where that reads better."""

    @override
    def render(self, task: Task) -> Text:
        if task.speed is None:
            return Text("")
        rate, unit = (task.speed, "s") if task.speed >= _SLOW else (task.speed * 60, "min")
        return Text(f"{rate:.1f}/{unit}", style="progress.data.speed")


class JobProgress:
    """Is told what happens to jobs and shows it, if the terminal is one that can.

    Args:
        terminal: Where to draw.
        total: How many jobs there are.
        already_done: How many of them an earlier run has done.
    """

    def __init__(self, terminal: Terminal, total: int, *, already_done: int = 0) -> None:
        self._console = terminal.err
        self._overall = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            _RateColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[failed]}", style="red"),
            console=self._console,
            expand=True,
        )
        self._running = Progress(
            SpinnerColumn(),
            TextColumn(
                "{task.fields[file]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
            ),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, min_width=10)),
            console=self._console,
        )
        self._total = self._overall.add_task("", total=total, completed=already_done, failed="")
        self._rows: dict[JobRequest, TaskID] = {}
        self._failures = 0
        # A single job has its own row, and that says it all.
        shown = Group(self._running, self._overall) if total > 1 else self._running
        # Results that are piped elsewhere must not be taken for words that belong above the bars.
        live = Live(
            shown, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live = live if terminal.is_live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def start(self, request: JobRequest) -> None:
        """A request is about to be submitted."""
        room = max(1, self._console.height - _LINES_BESIDE_ROWS)
        self._rows[request] = self._running.add_task(
            request.task, total=100, file=request.path.name, state="uploading", visible=len(self._rows) < room
        )

    def update(self, request: JobRequest, job: JobResponse) -> None:
        """News of a job have come."""
        self._running.update(self._rows[request], completed=job.progress, state=str(job.status))

    def end(self, outcome: Outcome) -> None:
        """A request has come to its end; its row goes."""
        self._running.remove_task(self._rows.pop(outcome.request))
        self.skip(failed=outcome.error is not None)

    def skip(self, *, failed: bool = False) -> None:
        """Count a request that did not have to run."""
        self._failures += failed
        self._overall.update(
            self._total, advance=1, failed=f"{self._failures} failed" if self._failures else ""
        )


def byte_progress(terminal: Terminal) -> Progress:
    """Bars that count bytes, if the terminal is one that can show them."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=terminal.err,
        transient=True,
        disable=not terminal.is_live,
    )


def count_progress(terminal: Terminal) -> Progress:
    """Bars that count steps, if the terminal is one that can show them."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=terminal.err,
        transient=True,
        disable=not terminal.is_live,
    )
