"""How the demo shows its jobs while they run: a live row for each in a terminal, plain lines in a pipe."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Self

    from rich.console import Console

    from cl_client import JobResponse
    from cl_client_cli.demo.jobs import DemoJob
    from cl_client_cli.demo.results import Outcome

_LINES_BESIDE_ROWS = 3
"""The row of the total, the line above the rows, and the one below for the cursor."""


class JobDisplay(Protocol):
    """Is told what happens to the jobs, in the order in which it happens."""

    def start(self, job: DemoJob) -> None:
        """A job is about to be submitted."""
        ...

    def update(self, job: DemoJob, response: JobResponse) -> None:
        """News of a job have come."""
        ...

    def end(self, outcome: Outcome) -> None:
        """A job has ended, and its result is here."""
        ...


class LiveRows:
    """A progress row for each job; the rows of ended jobs give way when the terminal is full."""

    def __init__(self, console: Console, job_count: int) -> None:
        self._console = console
        self._job_count = job_count
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn(
                "{task.fields[file]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
            ),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, min_width=10)),
            console=console,
            transient=True,
        )
        self._total = self._progress.add_task(
            f"{job_count} jobs", total=job_count, file="all files", state=""
        )
        self._rows: dict[DemoJob, TaskID] = {}
        self._ended: deque[TaskID] = deque()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def start(self, job: DemoJob) -> None:
        """Add the job's row, in place of ended ones where there is no room."""
        room = self._console.height - _LINES_BESIDE_ROWS
        while self._ended and len(self._progress.tasks) > room:
            self._progress.remove_task(self._ended.popleft())
        self._rows[job] = self._progress.add_task(job.task, total=100, file=job.photo.name, state="uploading")

    def update(self, job: DemoJob, response: JobResponse) -> None:
        """Move the job's bar."""
        self._progress.update(self._rows[job], completed=response.progress, state=str(response.status))

    def end(self, outcome: Outcome) -> None:
        """Fill the bar of a job that succeeded, leave the one of a job that failed where it is."""
        row = self._rows.pop(outcome.job)
        if outcome.failed:
            self._progress.update(row, state="failed")
            self._progress.stop_task(row)
        else:
            self._progress.update(row, completed=100, state="done")
        self._progress.advance(self._total)
        self._ended.append(row)


class PlainLines:
    """One line for each job that has ended."""

    def __init__(self, console: Console, job_count: int) -> None:
        self._console = console
        self._job_count = job_count
        self._ended_count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is to be taken back."""

    def start(self, job: DemoJob) -> None:
        """A pipe is told of ends only."""

    def update(self, job: DemoJob, response: JobResponse) -> None:
        """A pipe is told of ends only."""

    def end(self, outcome: Outcome) -> None:
        """Write the job's line."""
        self._ended_count += 1
        state = "failed" if outcome.failed else "done"
        line = f"[{self._ended_count}/{self._job_count}] {outcome.job.photo.name}: {outcome.job.task} {state}"
        self._console.print(Text(line), soft_wrap=True)


def job_display(console: Console, job_count: int) -> AbstractContextManager[JobDisplay]:
    """The display that suits the console."""
    display = LiveRows if console.is_interactive else PlainLines
    return display(console, job_count)
