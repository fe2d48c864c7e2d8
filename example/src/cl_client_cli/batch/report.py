"""The report of a batch, made from its manifest."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from cl_client_cli.batch.manifest import BatchManifest
from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.places import check_file
from cl_client_cli.frame.progress import count_progress
from cl_client_cli.report.entries import EMBEDDINGS, ReportEntry, ReportResult
from cl_client_cli.report.page import Report, write_report
from cl_client_cli.tasks.result_names import common_folder, relative_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cl_client_cli.batch.items import Item
    from cl_client_cli.frame.options import OutputOptions
    from cl_client_cli.frame.terminal import Terminal

_DEFAULT_PAGE: Final = "report.html"
_PARAMS: Final = TypeAdapter(dict[str, str])


def report_batch(folder: Path, page: Path | None, output: OutputOptions) -> int:
    """Write the report of the batch in a folder.

    Args:
        folder: The folder of the batch.
        page: The file for the report; None for ``report.html`` in the folder.
        output: How results are printed.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        path = page or folder / _DEFAULT_PAGE
        check_file("report", path)
        with BatchManifest.open_to_read(folder) as manifest:
            await write_batch_report(terminal, manifest, path)
        terminal.record({"report": str(path)})
        return 0

    return run_guarded(output, work)


async def write_batch_report(terminal: Terminal, manifest: BatchManifest, page: Path) -> None:
    """Write a report of everything that a batch has done; a cancellation stops it.

    Args:
        terminal: Where messages are printed.
        manifest: The manifest of the batch.
        page: The file for the report.

    Raises:
        OSError: The file cannot be written.
        CancelledError: The writing was cancelled.
    """
    sources = manifest.sources()
    folder = common_folder([source.parent for source in sources]) if sources else Path()

    def entries() -> Iterator[ReportEntry]:
        for source in sources:
            items = [item for item in manifest.items_of(source) if item.state in {"done", "failed"}]
            name = relative_to(folder, source).as_posix()
            yield ReportEntry(name, source, _results(items))

    title = manifest.folder.resolve().name
    cards_only = all(state != "failed" and task not in EMBEDDINGS for task, state in manifest.counts())
    report = Report(title, datetime.now().astimezone(), len(sources), entries, cards_only=cards_only)
    unwanted = threading.Event()
    with count_progress(terminal) as progress:
        bar = progress.add_task("Writing the report", total=report.count)

        def on_card() -> None:
            if unwanted.is_set():
                raise InterruptedError("the report was cancelled")
            progress.advance(bar)

        try:
            await asyncio.to_thread(write_report, page, report, on_card)
        except asyncio.CancelledError:
            unwanted.set()
            raise
    terminal.say(f"The report was written to {page}")


def _results(items: Sequence[Item]) -> dict[str, ReportResult]:
    """The results by task; a second result of a task has its parameters in the name."""
    results: dict[str, ReportResult] = {}
    for item in items:
        name = item.task
        if name in results:
            params = _PARAMS.validate_json(item.params)
            values = ", ".join(f"{param} {value}" for param, value in params.items())
            name = f"{name} ({values or 'by default'})"
        results[name] = _result(item)
    return results


def _result(item: Item) -> ReportResult:
    if item.state == "failed":
        return ReportResult(error=item.error or "failed")
    return ReportResult(item.summary, item.data or {}, item.target)
