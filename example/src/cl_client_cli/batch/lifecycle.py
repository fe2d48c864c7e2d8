"""The work of `cl-client batch submit` and `batch resume`: a batch from its creation to its end."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client_cli.batch.detached_process import run_detached
from cl_client_cli.batch.ended_jobs import EndedJobs
from cl_client_cli.batch.locks import running, working
from cl_client_cli.batch.manifest import FILE_NAME, BatchManifest
from cl_client_cli.batch.plan import plan_items
from cl_client_cli.batch.run import BatchRun
from cl_client_cli.batch.server import batch_connection, settle_at_server
from cl_client_cli.batch.summary import next_step, resume_hint, say_added, say_summary
from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.outages import Outages
from cl_client_cli.frame.own_client import OwnClient
from cl_client_cli.frame.places import check_file, check_folder
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.plan import check_job_options, check_outlives_command
from cl_client_cli.tasks.resilient_engine import ResilientEngine
from cl_client_cli.tasks.server_paths import server_paths_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cl_client_cli.batch.items import ItemKey
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import BatchOptions, InputOptions

_PAGE: Final = "report"


def submit_batch(
    arguments: Sequence[str],
    tasks: Sequence[str],
    params: Sequence[str],
    folder: Path,
    options: BatchOptions,
    *,
    search: InputOptions,
) -> int:
    """Add items to the batch in a folder, and run it.

    Args:
        arguments: One specification, or files, patterns and folders.
        tasks: The tasks to run on each suitable file.
        params: Parameters, each as TASK.NAME=VALUE.
        folder: The folder of the batch.
        options: The options of the command.
        search: How inputs are found.

    Returns:
        The exit code.
    """
    _check(options)
    check_folder("--output-dir", folder)
    known: Mapping[ItemKey, Path] = {}
    if (folder / FILE_NAME).exists():
        with BatchManifest.open(folder) as manifest:
            known = manifest.known_items()
    terminal = Terminal.make(options.output)
    items = plan_items(arguments, tasks, params, folder, known, search=search, say=terminal.say)
    with BatchManifest.open(folder, create=True) as manifest:
        added = manifest.add(items)
    say_added(terminal, added, len(items), folder)
    del items  # takes 1 KiB for each, and the batch may run for hours
    return resume_batch(folder, options, retry_failed=False)


def resume_batch(folder: Path, options: BatchOptions, *, retry_failed: bool) -> int:
    """Run the remaining items of the batch in a folder.

    Args:
        folder: The folder of the batch.
        options: The options of the command.
        retry_failed: Retry permanent failures too.

    Returns:
        The exit code.
    """
    _check(options)
    with BatchManifest.open(folder), running(folder):
        work = partial(_run_batch, folder, options, retry_failed=retry_failed)
        return run_detached(work, resume_hint=resume_hint(folder))


def _check(options: BatchOptions) -> None:
    check_job_options(options.jobs)
    if not options.jobs.wait:
        check_outlives_command(options.connection)
    if options.report is not None:
        check_file("--report", options.report)
    if options.retries < 0:
        raise UsageError(f"--retries {options.retries}: must be at least 0")


def _run_batch(folder: Path, options: BatchOptions, *, retry_failed: bool) -> int:
    terminal = Terminal.make(options.output)
    on_wait = partial(terminal.say, "Waiting for an earlier run of this batch to end ...")
    with BatchManifest.open(folder) as manifest, working(folder, on_wait), Ledger.open() as ledger:
        connection = batch_connection(manifest, options.connection)
        settled, hint = replace(options, connection=connection), resume_hint(folder)

        async def work(context: CommandContext) -> int:
            try:
                return await _run(
                    context, manifest=manifest, ledger=ledger, options=settled, retry_failed=retry_failed
                )
            except sqlite3.Error:
                context.terminal.say(f"The progress can no longer be saved. {hint}")
                raise

        return run_with_client(
            connection,
            options.output,
            work,
            resume_hint=hint,
            brings_work=True,
            inputs=manifest.sources if not options.jobs.upload else tuple,
        )


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
    left = await manifest.left(retry_failed=retry_failed)
    total = manifest.counts().total()
    before = total - left.total()
    outages = Outages(context.client, context.terminal, options.jobs.give_up_after)
    progress = JobProgress(
        context.terminal, total, already_done=before, watch=options.jobs.watch, on_news=outages.moved
    )
    paths = server_paths_of(context, options.jobs)
    run = BatchRun(
        ResilientEngine(JobEngine(context.client, ledger, options.jobs, paths), outages),
        manifest,
        progress,
        context.terminal,
        retries=options.retries,
        retry_failed=retry_failed,
    )
    hint = True
    try:
        async with AsyncExitStack() as stack:
            if isinstance(context.client, OwnClient):
                run.ended_jobs = await stack.enter_async_context(EndedJobs(context.client.server))
            stack.enter_context(progress)
            await outages.watch(run.run(concurrency=options.jobs.concurrency))
    except (asyncio.CancelledError, sqlite3.Error):
        hint = False  # the message of this error contains the hint already
        raise
    finally:
        run.ended["in_place"] = 0 if paths is None else paths.read_in_place
        say_summary(context.terminal, manifest, run, before, unsure=left["submitting"])
        run.engine.say_unanswered()
        if paths is not None:
            paths.say_refused(context.terminal)
        if hint and not run.ended["submitted"]:
            is_work_left = bool((await manifest.left(retry_failed=False)).total())
            if (step := next_step(manifest, is_work_left=is_work_left)) is not None:
                context.terminal.say(step)
    if page is not None:
        from cl_client_cli.batch.report import write_batch_report

        await write_batch_report(context.terminal, manifest, page)
    return SOME_FAILED if any(state == "failed" for _, state in manifest.counts()) else 0


def _planned_page(manifest: BatchManifest, given: Path | None) -> Path | None:
    """The path of the report, from this run's options or an earlier run's; None for no report."""
    if given is None:
        kept = manifest.facts().get(_PAGE)
        return None if kept is None else Path(kept)
    manifest.set_fact(_PAGE, str(given.absolute()))
    return given
