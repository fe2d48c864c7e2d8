"""The work of `cl-client demo`: runs every suitable task for some photos on a local server."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client.local import draw_samples
from cl_client_cli.demo.plan import SAMPLES_FOLDER, plan_demo
from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.options import JobOptions
from cl_client_cli.frame.own_server import folders_of, own_server
from cl_client_cli.frame.places import check_folder
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.temporary_folders import temporary_folder
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.face_detection import mark_found_faces
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.notes import notes_in
from cl_client_cli.tasks.run import run_requests
from cl_client_cli.tasks.server_paths import ServerPaths
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from cl_client import ComputeClient
    from cl_client_cli.demo.plan import DemoPlan
    from cl_client_cli.frame.options import OutputOptions
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.job_outcome import JobRequest, Outcome

_DEFAULT_OUTPUT_DIR: Final = "cl-client-demo"


def run_demo(photos: Sequence[Path], output_dir: Path | None, output: OutputOptions, *, keep: bool) -> int:
    """Run the demo.

    Args:
        photos: The files; empty for samples.
        output_dir: The folder for the results; None for a new folder in the current one.
        output: How results are printed.
        keep: Whether to keep the results.

    Returns:
        The exit code.
    """

    async def work(terminal: Terminal) -> int:
        _check(photos, output_dir, keep=keep)
        with _output_folder(output_dir, keep=keep) as folder:
            plan, outcomes = await _run(terminal, photos, folder)
            _report(terminal, plan, outcomes, folder if keep else None)
        return SOME_FAILED if any(outcome.error is not None for outcome in outcomes.values()) else 0

    return run_guarded(output, work, resume_hint="The local server has been stopped.")


def _check(photos: Sequence[Path], output_dir: Path | None, *, keep: bool) -> None:
    for photo in photos:
        if photo.is_dir():
            raise UsageError(f"{photo}: this is a folder; name the photos in it")
        if not photo.exists():
            raise UsageError(f"{photo}: no such file")
    if output_dir is not None:
        check_folder("--output-dir", output_dir)
    if output_dir is not None and not keep:
        raise UsageError("--output-dir and --no-keep cannot be combined: give only one of them")


@contextmanager
def _output_folder(output_dir: Path | None, *, keep: bool) -> Generator[Path]:
    """The folder of the results; it is removed afterwards unless `keep` is set."""
    if not keep:
        with temporary_folder() as temporary:
            yield temporary
    elif output_dir is not None:
        output_dir.mkdir(parents=True, exist_ok=True)
        yield output_dir
    else:
        yield _new_folder()


def _new_folder() -> Path:
    """Create the default folder, with a number if it exists; parallel demos get different folders."""
    names = itertools.chain([_DEFAULT_OUTPUT_DIR], (f"{_DEFAULT_OUTPUT_DIR}-{n}" for n in itertools.count(2)))
    return next(folder for folder in map(Path, names) if _was_made(folder))


def _was_made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


async def _run(
    terminal: Terminal, photos: Sequence[Path], folder: Path
) -> tuple[DemoPlan, Mapping[JobRequest, Outcome]]:
    """Run all suitable tasks for the photos, or for samples, on a temporary local server."""
    if not photos:
        with terminal.announced("Drawing samples ..."):
            photos = await asyncio.to_thread(draw_samples, folder / SAMPLES_FOLDER)
    shared = await asyncio.to_thread(folders_of, photos)
    async with own_server(terminal, shared=shared) as (server, client):
        # A photo that is named twice is processed once.
        plan = plan_demo(tuple(dict.fromkeys(photos)), server.task_types, folder)
        terminal.say(f"Local server at {server.base_url}, events from {server.mqtt_url}")
        return plan, await _run_requests(terminal, client, plan.requests)


async def _run_requests(
    terminal: Terminal, client: ComputeClient, requests: Sequence[JobRequest]
) -> dict[JobRequest, Outcome]:
    outcomes: dict[JobRequest, Outcome] = {}
    options = JobOptions()
    # The server ends with the demo, so its jobs do not belong in the user's ledger.
    with (
        temporary_folder() as temporary,
        Ledger.open(temporary / "l") as ledger,
    ):
        engine = JobEngine(client, ledger, options, ServerPaths(client))
        with JobProgress(terminal, len(requests)) as progress:
            running = run_requests(
                requests,
                engine.run,
                progress,
                concurrency=options.concurrency,
                after=_mark_if_there_are_faces,
            )
            async with aclosing(running) as ended:
                async for outcome in ended:
                    outcomes[outcome.request] = outcome
                    _tell(terminal, outcome, f"[{len(outcomes)}/{len(requests)}]")
    return outcomes


async def _mark_if_there_are_faces(outcome: Outcome) -> Outcome:
    faces = outcome.result is not None and outcome.result.data.get("num_faces")
    return await mark_found_faces(outcome) if faces else outcome


def _tell(terminal: Terminal, outcome: Outcome, count: str) -> None:
    terminal.record(outcome.as_json())
    if not terminal.is_live:
        state = "done" if outcome.error is None else "failed"
        terminal.say(f"{count} {outcome.request.name}: {outcome.request.task} {state}")


def _report(
    terminal: Terminal, plan: DemoPlan, outcomes: Mapping[JobRequest, Outcome], folder: Path | None
) -> None:
    """Print the table of results, a summary, and the tasks that were skipped."""
    terminal.result(_table([outcomes[request] for request in plan.requests]))
    succeeded = sum(outcome.error is None for outcome in outcomes.values())
    where = f" The results are in {folder}" if folder is not None else ""
    terminal.say(f"{succeeded} of {counted(len(outcomes), 'job')} succeeded.{where}")
    if plan.left_out:
        tasks = ", ".join(plan.left_out)
        models = "model is" if len(plan.left_out) == 1 else "models are"
        terminal.say(
            f"Skipped, because the {models} not installed: {tasks}. To install: cl-client models pull"
        )


def _table(outcomes: Sequence[Outcome]) -> Table:
    """A table of all outcomes, with one section per file."""
    table = Table("File", "Task", "Result")
    table.columns[0].overflow = "fold"
    table.columns[1].no_wrap = True
    previous: Path | None = None
    for outcome in outcomes:
        path = outcome.request.path
        if previous not in {None, path}:
            table.add_section()
        table.add_row(Text("" if path == previous else path.name), outcome.request.task, _words(outcome))
        previous = path
    return table


def _words(outcome: Outcome) -> Text:
    """The result in a few words, and what it warns of."""
    if outcome.error:
        return Text(outcome.error, style="red")
    if outcome.result is None:
        return Text()
    notes = [Text(f"warning: {note}", style="yellow") for note in notes_in(outcome.result.data)]
    return Text("\n").join([Text(outcome.result.summary, style="green"), *notes])
