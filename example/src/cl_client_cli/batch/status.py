"""The work of `cl-client batch status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client_cli.batch.manifest import BatchManifest
from cl_client_cli.batch.server import batch_server
from cl_client_cli.batch.summary import failure_lines, next_step
from cl_client_cli.frame.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client_cli.frame.options import OutputOptions

_STATES: Final = ("waiting", "submitting", "submitted", "done", "failed")


def show_status(folder: Path, output: OutputOptions) -> int:
    """Show the progress of the batch in a folder.

    Args:
        folder: The folder of the batch.
        output: How results are printed.

    Returns:
        The exit code.
    """
    with BatchManifest.open_to_read(folder) as manifest:
        _show_status(Terminal.make(output), manifest)
    return 0


def _show_status(terminal: Terminal, manifest: BatchManifest) -> None:
    counts = manifest.counts()
    if server := batch_server(manifest):
        terminal.say(f"Server of this batch: {server}")
    table = Table("Task", *_STATES, "all")
    for column in table.columns[1:]:
        column.justify = "right"
    for task in sorted({task for task, _ in counts}):
        numbers = {state: counts[task, state] for state in _STATES}
        terminal.record({"task": task, **numbers})
        cells = [_cell(state, number) for state, number in numbers.items()]
        table.add_row(task, *cells, str(sum(numbers.values())))
    terminal.result(table)
    for item in manifest.failures():
        terminal.record({"input": str(item.source), "task": item.task, "error": item.error})
    for line in failure_lines(manifest):
        terminal.result(Text(line, style="red"))
    is_work_left = any(manifest.pending(retry_failed=False))
    if (step := next_step(manifest, is_work_left=is_work_left)) is not None:
        done = sum(count for (_, state), count in counts.items() if state == "done")
        terminal.say(f"{done} of {counts.total()} done. {step}")


def _cell(state: str, number: int) -> Text:
    return Text(str(number or ""), style="red" if state == "failed" else "")
