"""The work of `cl-client batch`: submit, resume, status."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client_cli.batch.manifest import FILE_NAME, BatchManifest
from cl_client_cli.batch.plan import plan_items
from cl_client_cli.batch.run import BatchRun
from cl_client_cli.batch.server import batch_connection, batch_server, settle_at_server
from cl_client_cli.batch.sheltered_process import run_sheltered
from cl_client_cli.frame.command_frame import run_guarded, run_with_client
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.places import check_file, check_folder
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.plan import check_job_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cl_client_cli.batch.manifest import ItemKey
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import BatchOptions, OutputOptions

_DEFAULT_PAGE: Final = "report.html"
_PAGE: Final = "report"
_NAMES_PER_REASON: Final = 5
_STATES: Final = ("waiting", "submitting", "submitted", "done", "failed")


def submit_batch(
    arguments: Sequence[str],
    tasks: Sequence[str],
    params: Sequence[str],
    folder: Path,
    options: BatchOptions,
    *,
    recursive: bool,
) -> int:
    """Add items to the batch in a folder, and run it; the process's exit code."""
    _check(options)
    check_folder("--output-dir", folder)
    known: Mapping[ItemKey, Path] = {}
    if (folder / FILE_NAME).exists():
        with BatchManifest.open(folder) as manifest:
            known = manifest.known_items()
    items = plan_items(arguments, tasks, params, folder, known, recursive=recursive)
    with BatchManifest.open(folder, create=True) as manifest:
        added = manifest.add(items)
    Terminal.make(options.output).say(f"{added} of {len(items)} jobs are new in {folder}")
    return resume_batch(folder, options, retry_failed=False)


def resume_batch(folder: Path, options: BatchOptions, *, retry_failed: bool) -> int:
    """Run what is left of the batch in a folder; the process's exit code."""
    _check(options)
    with BatchManifest.open(folder) as manifest, manifest.running():
        work = partial(_run_batch, folder, options, retry_failed=retry_failed)
        return run_sheltered(work, resume_hint=_resume_hint(folder))


def _check(options: BatchOptions) -> None:
    check_job_options(options.jobs)
    if options.report is not None:
        check_file("--report", options.report)
    if options.retries < 0:
        raise UsageError(f"--retries {options.retries}: must be at least 0")
    if options.give_up_after < 0:
        raise UsageError(f"--give-up-after {options.give_up_after:g}: must be at least 0 seconds")


def _resume_hint(folder: Path) -> str:
    return f"To go on: {_resume_command(folder)}"


def _resume_command(folder: Path) -> str:
    return f"cl-client batch resume {shlex.quote(str(folder))}"


def _run_batch(folder: Path, options: BatchOptions, *, retry_failed: bool) -> int:
    terminal = Terminal.make(options.output)
    on_wait = partial(terminal.say, "An earlier run of this batch is just ending ...")
    with BatchManifest.open(folder) as manifest, manifest.working(on_wait), Ledger.open() as ledger:
        connection = batch_connection(manifest, options.connection)
        work = partial(
            _run,
            manifest=manifest,
            ledger=ledger,
            options=replace(options, connection=connection),
            retry_failed=retry_failed,
        )
        hint = _resume_hint(folder)
        return run_with_client(connection, options.output, work, resume_hint=hint, brings_work=True)


async def _run(
    context: CommandContext,
    *,
    manifest: BatchManifest,
    ledger: Ledger,
    options: BatchOptions,
    retry_failed: bool,
) -> int:
    settle_at_server(manifest, options.connection, context)
    page = _planned_page(manifest, options.report)
    left = Counter(item.state for item in manifest.pending(retry_failed=retry_failed))
    total = manifest.counts().total()
    before = total - left.total()
    progress = JobProgress(context.terminal, total, already_done=before, watch=options.jobs.watch)
    run = BatchRun(
        context.client,
        JobEngine(context.client, ledger, options.jobs),
        manifest,
        progress,
        context.terminal,
        retries=options.retries,
        give_up_after=options.give_up_after,
    )
    try:
        with progress:
            await run.run(concurrency=options.jobs.concurrency, retry_failed=retry_failed)
    finally:
        _say_summary(context.terminal, manifest, run, before, unsure=left["submitting"])
    if page is not None:
        from cl_client_cli.batch.report import write_batch_report

        await write_batch_report(context.terminal, manifest, page)
    return SOME_FAILED if any(state == "failed" for _, state in manifest.counts()) else 0


def _say_summary(
    terminal: Terminal, manifest: BatchManifest, run: BatchRun, already_done: int, *, unsure: int
) -> None:
    words = [f"{run.ended['done']} done"]
    if copied := run.ended["copied"]:
        words.append(f"{copied} of them copied from files of the same content")
    if submitted := run.ended["submitted"]:
        words.append(f"{submitted} submitted ({_resume_command(manifest.folder)} fetches the results)")
    if failures := run.ended["failed"]:
        words.append(f"{failures} failed")
    if already_done:
        words.append(f"{already_done} had been done before")
    terminal.say(f"{', '.join(words)}. The results are in {manifest.folder}")
    if unsure:
        terminal.say(
            f"{unsure} were on their way when the last run was ended: where the server had taken one, "
            "it has run it twice."
        )
    for line in failure_lines(manifest):
        terminal.error(line)


def failure_lines(manifest: BatchManifest) -> list[str]:
    """The failures by their reasons, each with the first few names."""
    names: dict[str, list[str]] = {}
    for item in manifest.failures():
        names.setdefault(f"{item.task}: {item.error}", []).append(item.source.name)
    lines: list[str] = []
    for reason, files in sorted(names.items(), key=lambda pair: -len(pair[1])):
        more = f" and {len(files) - _NAMES_PER_REASON} more" if len(files) > _NAMES_PER_REASON else ""
        lines.append(f"{reason} ({', '.join(files[:_NAMES_PER_REASON])}{more})")
    return lines


def _planned_page(manifest: BatchManifest, given: Path | None) -> Path | None:
    """Where the batch's report goes, as this run or an earlier one was told; None for nowhere."""
    if given is None:
        kept = manifest.facts().get(_PAGE)
        return None if kept is None else Path(kept)
    manifest.set_fact(_PAGE, str(given.absolute()))
    return given


def report_batch(folder: Path, page: Path | None, output: OutputOptions) -> int:
    """Write the report of the batch in a folder; the process's exit code."""

    async def work(terminal: Terminal) -> int:
        from cl_client_cli.batch.report import write_batch_report

        path = page or folder / _DEFAULT_PAGE
        check_file("report", path)
        with BatchManifest.open(folder) as manifest:
            await write_batch_report(terminal, manifest, path)
        terminal.record({"report": str(path)})
        return 0

    return run_guarded(output, work)


def show_status(folder: Path, output: OutputOptions) -> int:
    """Show how far the batch in a folder is; the process's exit code."""
    with BatchManifest.open(folder) as manifest:
        _show_status(Terminal.make(output), manifest)
    return 0


def _show_status(terminal: Terminal, manifest: BatchManifest) -> None:
    counts = manifest.counts()
    if server := batch_server(manifest):
        terminal.say(f"This batch runs at {server}")
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
    done = sum(count for (_, state), count in counts.items() if state == "done")
    if done < counts.total():
        terminal.say(f"{done} of {counts.total()} done. {_resume_hint(manifest.folder)}")


def _cell(state: str, number: int) -> Text:
    return Text(str(number or ""), style="red" if state == "failed" else "")
