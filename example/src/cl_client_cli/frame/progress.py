"""Progress bars for jobs, bytes and steps."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, cast

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text
from typing_extensions import override

from cl_client_cli.frame.names import ShortenedName

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.progress import Task

    from cl_client import JobResponse
    from cl_client_cli.frame.terminal import Terminal

_LINES_BESIDE_ROWS = 3
"""The row of the total, one spare row, and one for the cursor."""
_SLOW = 1.0


class _RateColumn(ProgressColumn):
    """Jobs per second, or per minute for slow ones."""

    @override
    def render(self, task: Task) -> Text:
        if task.speed is None:
            return Text("")
        rate, unit = (task.speed, "s") if task.speed >= _SLOW else (task.speed * 60, "min")
        return Text(f"{rate:.1f}/{unit}", style="progress.data.speed")


class _NameColumn(ProgressColumn):
    """The file's name, shortened if there is too little room."""

    @override
    def render(self, task: Task) -> ShortenedName:
        return ShortenedName(cast("str", task.fields["file"]))


class WithMargin:
    """Leaves a margin on the right for the ``^C`` that a terminal echoes.

    If that is wrapped into the next line, Rich can no longer erase everything it has drawn.
    """

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        narrower = options.update_width(max(1, options.max_width - len("^C ")))
        yield from console.render(self._renderable, narrower)


class JobRow:
    """The progress bar of a running job.

    Args:
        bars: The display that contains the bar.
        name: The name of the input file.
        task: The task.
        state: The first state to show.
        is_shown: Whether there is room for the bar.
        tell: Called with a line of text for each change; None for no text.
        on_news: Called at each change; None for nothing.
    """

    def __init__(
        self,
        bars: Progress,
        name: str,
        task: str,
        state: str,
        *,
        is_shown: bool,
        tell: Callable[[str], None] | None,
        on_news: Callable[[], None] | None,
    ) -> None:
        self._bars, self._name, self._task, self._tell, self._on_news = bars, name, task, tell, on_news
        self._told = ""
        label = PurePath(name).name or name
        self._bar = bars.add_task(task, total=100, file=label, state=state, visible=is_shown)

    def upload(self, done: int, total: int | None) -> None:
        """Show that more of the file was uploaded.

        Args:
            done: Bytes sent so far.
            total: Size of the file in bytes; None if it is unknown.
        """
        if self._on_news is not None:
            self._on_news()
        if total:
            self._bars.update(self._bar, completed=done * 100 / total, state="uploading")

    def update(self, job: JobResponse) -> None:
        """Show the new state of the job.

        Args:
            job: The job as last read.
        """
        if self._on_news is not None:
            self._on_news()
        self._bars.update(self._bar, completed=job.progress, state=str(job.status))
        line = f"{self._name}: {self._task} {job.status} {job.progress} %"
        if self._tell is not None and line != self._told:
            self._told = line
            self._tell(line)

    def remove(self) -> None:
        """Remove the bar when the job has ended."""
        self._bars.remove_task(self._bar)


class JobProgress:
    """Shows the progress of jobs, if the terminal is interactive.

    Args:
        terminal: Where to draw.
        total: The number of jobs.
        already_done: How many of them an earlier run has finished.
        watch: Print each change as text if no bars can be drawn.
        on_news: Called whenever bytes were sent or news of a job arrived.
    """

    def __init__(
        self,
        terminal: Terminal,
        total: int,
        *,
        already_done: int = 0,
        watch: bool = False,
        on_news: Callable[[], None] | None = None,
    ) -> None:
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
        # If a row is too long for the screen, only a column that may wrap gets narrower: the name's.
        self._running = Progress(
            SpinnerColumn(table_column=Column(no_wrap=True)),
            _NameColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16, table_column=Column(no_wrap=True)),
            TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, min_width=10)),
            console=self._console,
        )
        self._total = self._overall.add_task("", total=total, completed=already_done, failed="")
        self._tell = terminal.say if watch and not terminal.is_live else None
        self._on_news = on_news
        self._running_count = self._failures = 0
        # The row of a single job shows all there is.
        shown = WithMargin(Group(self._running, self._overall) if total > 1 else self._running)
        # Results that are piped elsewhere must not be printed above the bars.
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

    def start(self, name: str, task: str, state: str = "submitting") -> JobRow:
        """Add a bar for a job that starts.

        Args:
            name: The name of the input file.
            task: The task.
            state: The first state to show.

        Returns:
            The bar.
        """
        room = max(1, self._console.height - _LINES_BESIDE_ROWS)
        self._running_count += 1
        is_shown = self._running_count <= room
        tell, on_news = self._tell, self._on_news
        return JobRow(self._running, name, task, state, is_shown=is_shown, tell=tell, on_news=on_news)

    def end(self, row: JobRow, *, failed: bool) -> None:
        """Count a job that has ended, and remove its bar.

        Args:
            row: The bar of the job.
            failed: Whether the job failed.
        """
        self._running_count -= 1
        row.remove()
        self.skip(failed=failed)

    def skip(self, *, failed: bool = False) -> None:
        """Count a job that did not have to run.

        Args:
            failed: Whether it counts as failed.
        """
        self._failures += failed
        self._overall.update(
            self._total, advance=1, failed=f"{self._failures} failed" if self._failures else ""
        )


def byte_progress(terminal: Terminal) -> Progress:
    """Progress bars that count bytes, if the terminal is interactive.

    Args:
        terminal: Where to draw.

    Returns:
        The bars.
    """
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
    """Progress bars that count steps, if the terminal is interactive.

    Args:
        terminal: Where to draw.

    Returns:
        The bars.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=terminal.err,
        transient=True,
        disable=not terminal.is_live,
    )
