"""The report of a batch, made from its manifest."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from typing import TYPE_CHECKING

from cl_client_cli.frame.progress import count_progress
from cl_client_cli.report.entries import ReportEntry, ReportResult
from cl_client_cli.report.page import Report, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cl_client_cli.batch.manifest import BatchManifest, Item
    from cl_client_cli.frame.terminal import Terminal


async def write_batch_report(terminal: Terminal, manifest: BatchManifest, page: Path) -> None:
    """Write the page with everything that a batch has done; a cancellation ends the writing.

    Raises:
        OSError: It cannot be written.
    """

    def entries() -> Iterator[ReportEntry]:
        for source, items in manifest.by_source():
            results = {item.task: _result(item) for item in items if item.state in {"done", "failed"}}
            yield ReportEntry(source, results)

    title = manifest.folder.resolve().name
    report = Report(title, datetime.now().astimezone(), manifest.source_count(), entries)
    unwanted = threading.Event()
    with count_progress(terminal) as progress:
        bar = progress.add_task("Writing the report", total=report.count)

        def on_card() -> None:
            if unwanted.is_set():
                raise InterruptedError("nobody waits for the report any more")
            progress.advance(bar)

        try:
            await asyncio.to_thread(write_report, page, report, on_card)
        except asyncio.CancelledError:
            unwanted.set()
            raise
    terminal.say(f"The report is {page}")


def _result(item: Item) -> ReportResult:
    if item.state == "failed":
        return ReportResult(error=item.error or "failed")
    return ReportResult(item.summary, item.data or {}, item.target)
