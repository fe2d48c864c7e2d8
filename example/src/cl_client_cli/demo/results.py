"""What came out of the demo's jobs, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client_cli.demo.jobs import DemoJob


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: The job.
        words: The result in a few words, or why there is none.
        failed: Which of the two it is.
    """

    job: DemoJob
    words: str
    failed: bool = False


def results_table(outcomes: Sequence[Outcome]) -> Table:
    """All outcomes, one section for each file."""
    table = Table("File", "Task", "Result")
    table.columns[0].overflow = "fold"
    table.columns[1].no_wrap = True
    previous: Path | None = None
    for outcome in outcomes:
        if previous not in {None, outcome.job.folder}:
            table.add_section()
        name = "" if previous == outcome.job.folder else outcome.job.photo.name
        previous = outcome.job.folder
        table.add_row(
            Text(name), outcome.job.task, Text(outcome.words, style="red" if outcome.failed else "green")
        )
    return table
