"""The report of a batch, made from its manifest."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cl_client_cli.report.page import ReportEntry, ReportResult, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cl_client_cli.batch.manifest import BatchManifest, Item


def write_batch_report(manifest: BatchManifest, path: Path) -> None:
    """Write the page with everything that a batch has done.

    Raises:
        OSError: It cannot be written.
    """

    def entries() -> Iterator[ReportEntry]:
        for source, items in manifest.by_source():
            results = {item.task: _result(item) for item in items if item.state in {"done", "failed"}}
            yield ReportEntry(source, results)

    title = manifest.folder.resolve().name
    write_report(path, entries, title=title, made_at=datetime.now().astimezone())


def _result(item: Item) -> ReportResult:
    if item.state == "failed":
        return ReportResult(error=item.error or "failed")
    return ReportResult(item.summary, item.data or {}, item.target)
