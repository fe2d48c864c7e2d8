"""The work of the task commands: runs one task on any number of files."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from cl_client import map_concurrently
from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.failures import Failures
from cl_client_cli.frame.outages import Outages, ServerStaysAwayError
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.temporary_folders import temporary_folder
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.job_outcome import failed
from cl_client_cli.tasks.notes import Notes
from cl_client_cli.tasks.plan import JobPlan, Planner, check_outlives_command
from cl_client_cli.tasks.resilient_engine import ResilientEngine
from cl_client_cli.tasks.server_paths import read_in_place, server_paths_of
from cl_client_cli.tasks.table import task_kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import RunOptions
    from cl_client_cli.tasks.job_engine import JobObserver
    from cl_client_cli.tasks.job_outcome import JobRequest, Outcome


def run_plugin(
    task: str,
    files: Sequence[str],
    values: Mapping[str, object],
    options: RunOptions,
    *,
    annotate: Path | None = None,
    after: Callable[[Outcome], Awaitable[Outcome]] | None = None,
) -> int:
    """Run a task on files.

    Args:
        task: The name of the task.
        files: The command's arguments; see `find_inputs`.
        values: The task's parameters by name.
        options: The options of the command.
        annotate: See `Planner`.
        after: Called with the outcome of each job that succeeded; it returns the final outcome.

    Returns:
        The exit code.

    Raises:
        UsageError: An argument or an option is invalid.
        ConfigurationError: The ledger cannot be used.
    """
    _check_no_wait(options, annotate)
    with temporary_folder() as temp, Ledger.open() as ledger:
        planner = Planner(task, options, temp, ledger, annotate)
        plan = planner.plan(files, values)
        if not plan.requests:
            Terminal.make(options.output).say(_summary(Counter(), plan.skipped))
            return 0
        work = partial(_run, plan=plan, options=options, ledger=ledger, after=after)
        return run_with_client(
            options.connection,
            options.output,
            work,
            resume_hint=_what_goes_on(task, options),
            brings_work=True,
            inputs=partial(_read_in_place, plan, options),
        )


def _read_in_place(plan: JobPlan, options: RunOptions) -> list[Path]:
    """The files that the server of ``--local`` reads in place."""
    return [it.path for it in plan.requests if not it.is_temporary and not options.jobs.upload]


def _check_no_wait(options: RunOptions, annotate: Path | None) -> None:
    """Check that no option needs the results if the command does not wait for them."""
    if options.jobs.wait:
        return
    check_outlives_command(options.connection)
    results = {"--output": options.results.output, "--output-dir": options.results.output_dir}
    for option, place in {**results, "--annotate": annotate}.items():
        if place is not None:
            raise UsageError(f"--no-wait: results are not downloaded, so {option} {place} cannot be used")


def _what_goes_on(task: str, options: RunOptions, *, by_outage: bool = False) -> str:
    """What happens to unfinished jobs when the command ends before them, and how to continue."""
    if by_outage:
        running = "Running jobs may continue on the server; cl-client jobs list shows them."
    elif options.jobs.delete_on_cancel:
        running = "Running jobs have been deleted on the server."
    else:
        running = "Running jobs continue on the server; cl-client jobs list shows them."
    kept = options.results.output_dir is not None or task_kind(task).is_file
    if not kept or not options.jobs.wait:
        return running
    again = "the same command again without --force" if options.results.force else "the same command again"
    return f"{running} To process the remaining files, run {again}."


async def _run(
    context: CommandContext,
    *,
    plan: JobPlan,
    options: RunOptions,
    ledger: Ledger,
    after: Callable[[Outcome], Awaitable[Outcome]] | None,
) -> int:
    jobs = options.jobs
    outages = Outages(context.client, context.terminal, jobs.give_up_after, waits_at_first=False)
    paths = server_paths_of(context, jobs)
    engine = ResilientEngine(JobEngine(context.client, ledger, jobs, paths), outages)
    counts: Counter[bool] = Counter()
    notes = Notes(context.terminal)
    failures = Failures(context.terminal)

    async def run_all(progress: JobProgress) -> None:
        running = run_requests(plan.requests, engine.run, progress, concurrency=jobs.concurrency, after=after)
        async with aclosing(running) as outcomes:
            async for outcome in outcomes:
                counts[outcome.error is None] += 1
                _tell(context.terminal, outcome, plan, failures)
                notes.tell(outcome)

    on_news = outages.moved
    try:
        with (
            notes,
            JobProgress(context.terminal, len(plan.requests), watch=jobs.watch, on_news=on_news) as progress,
        ):
            await outages.watch(run_all(progress))
    except ServerStaysAwayError:
        context.terminal.say(_what_goes_on(plan.requests[0].task, options, by_outage=True))
        raise
    finally:
        engine.say_unanswered()
        if paths is not None:
            paths.say_refused(context.terminal)
    if len(plan.requests) + plan.skipped > 1:
        done = "succeeded" if jobs.wait else "submitted"
        in_place = paths.read_in_place if paths is not None else 0
        context.terminal.say(_summary(counts, plan.skipped, notes.noted, done=done, in_place=in_place))
    return SOME_FAILED if counts[False] else 0


async def run_requests(
    requests: Sequence[JobRequest],
    run_one: Callable[[JobRequest, JobObserver], Awaitable[Outcome]],
    progress: JobProgress,
    *,
    concurrency: int,
    after: Callable[[Outcome], Awaitable[Outcome]] | None = None,
) -> AsyncGenerator[Outcome]:
    """Run several requests at the same time, and yield their outcomes as they end.

    Args:
        requests: The requests.
        run_one: Runs one request.
        progress: Shows the progress.
        concurrency: How many requests run at the same time.
        after: Called with the outcome of each job that succeeded; an `OSError` from it makes the request
            fail.

    Yields:
        The outcomes, in the order in which the requests end.

    Raises:
        ComputeClientError: An error that affects all jobs: the server is unreachable, or a login is required.
    """

    async def run(request: JobRequest) -> Outcome:
        row = progress.start(request.name, request.task)
        outcome = await run_one(request, row)
        if after is not None and outcome.result is not None:
            try:
                outcome = await after(outcome)
            except OSError as exc:
                outcome = failed(request, exc, outcome.job)
        progress.end(row, failed=outcome.error is not None)
        return outcome

    async with aclosing(map_concurrently(run, requests, concurrency=concurrency)) as outcomes:
        async for _, outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome


def _tell(terminal: Terminal, outcome: Outcome, plan: JobPlan, failures: Failures) -> None:
    terminal.record(outcome.as_json())
    request = outcome.request
    if outcome.error is not None:
        job = f" (job {outcome.job.job_id})" if outcome.job else ""
        failures.tell(request.name, request.task, outcome.error, job)
    elif outcome.result is None:
        terminal.result(outcome.job.job_id if outcome.job else "")
    elif plan.to_stdout:
        terminal.content(outcome.result.files[0])
    else:
        _tell_result(terminal, outcome, alone=len(plan.requests) + plan.skipped == 1)


def _tell_result(terminal: Terminal, outcome: Outcome, *, alone: bool) -> None:
    result = outcome.result
    if result is None:
        return
    places = dict.fromkeys((*result.files[:1], *filter(None, (outcome.request.annotated,))))
    kept = f" -> {', '.join(map(str, places))}" if places else ""
    if alone and result.text is not None and not kept:
        terminal.result(result.text)
    else:
        terminal.result(f"{outcome.request.name}: {result.summary}{kept}")


def _summary(
    counts: Counter[bool], skipped: int, noted: int = 0, *, done: str = "succeeded", in_place: int = 0
) -> str:
    words = [f"{counts[True]} of {counts.total()} {done}"] if counts else []
    if in_place:
        words.append(read_in_place(in_place))
    if noted:
        words.append(f"{noted} with warnings")
    if counts[False]:
        words.append(f"{counts[False]} failed")
    if skipped:
        words.append(f"{skipped} already up to date (--force runs {'it' if skipped == 1 else 'them'} again)")
    return ", ".join(words)
