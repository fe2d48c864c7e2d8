"""The command `cl-client demo`: a local server, some photos, every task that suits them."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from rich.text import Text

from cl_client.exceptions import ComputeClientError
from cl_client.local import LocalServer
from cl_client.local.samples import draw_samples
from cl_client_cli.demo.jobs import SAMPLES_FOLDER, plan_jobs
from cl_client_cli.demo.progress import job_display
from cl_client_cli.demo.results import results_table
from cl_client_cli.demo.run import run_jobs
from cl_client_cli.frame.exit_codes import INTERRUPTED, SOME_FAILED, WRONG_USE
from cl_client_cli.frame.interruption import run_interruptible
from cl_client_cli.frame.terminal import make_console, print_error

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console

    from cl_client_cli.demo.jobs import DemoPlan
    from cl_client_cli.demo.results import Outcome

_DEFAULT_OUTPUT_DIR: Final = "cl-client-demo"
_WORKERS_SECONDS: Final = 60.0


def run_demo(photos: Sequence[Path], output_dir: Path | None, *, keep: bool) -> int:
    """Run the demo; the process's exit code.

    Args:
        photos: The files; none for samples.
        output_dir: Where the results go; None for a new folder in the current one.
        keep: Whether the results are kept at all.
    """
    problem = _wrong_use(photos, output_dir, keep=keep)
    if problem is not None:
        print_error(problem)
        return WRONG_USE
    console = make_console()
    try:
        with _output_folder(output_dir, keep=keep) as folder:
            plan, outcomes = run_interruptible(_demo(console, photos, folder))
            _report(console, plan, outcomes, folder if keep else None)
    except KeyboardInterrupt:
        print_error("interrupted; the local server has been stopped")
        return INTERRUPTED
    except (ComputeClientError, OSError) as exc:
        print_error(str(exc))
        return SOME_FAILED
    return SOME_FAILED if any(outcome.failed for outcome in outcomes) else 0


def _wrong_use(photos: Sequence[Path], output_dir: Path | None, *, keep: bool) -> str | None:
    """What is wrong with the arguments, if anything is."""
    for photo in photos:
        if photo.is_dir():
            return f"{photo}: this is a folder; name the photos in it"
        if not photo.exists():
            return f"{photo}: there is no such file"
    if output_dir is not None and not keep:
        return "--output-dir and --no-keep contradict each other"
    return None


@contextmanager
def _output_folder(output_dir: Path | None, *, keep: bool) -> Generator[Path]:
    """The folder of the results, there while the context is open; afterwards too if it is to be kept."""
    if not keep:
        with TemporaryDirectory(prefix="cl-client-demo-") as temporary:
            yield Path(temporary)
    elif output_dir is not None:
        output_dir.mkdir(parents=True, exist_ok=True)
        yield output_dir
    else:
        yield _new_folder()


def _new_folder() -> Path:
    """Make the default folder, numbered where it is there already; two demos at once get two folders."""
    names = itertools.chain([_DEFAULT_OUTPUT_DIR], (f"{_DEFAULT_OUTPUT_DIR}-{n}" for n in itertools.count(2)))
    return next(folder for folder in map(Path, names) if _was_made(folder))


def _was_made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


async def _demo(console: Console, photos: Sequence[Path], folder: Path) -> tuple[DemoPlan, list[Outcome]]:
    """Run everything that suits the photos, or the samples, on a server of its own."""
    async with AsyncExitStack() as stack:
        with _announced(console, "Starting a local server ..."):
            if not photos:
                photos = await asyncio.to_thread(draw_samples, folder / SAMPLES_FOLDER)
            server = await stack.enter_async_context(LocalServer())
            client = await stack.enter_async_context(server.client())
            # The same photo named twice is one photo.
            plan = plan_jobs(tuple(dict.fromkeys(photos)), server.task_types, folder)
            await client.wait_for_workers({job.task for job in plan.jobs}, timeout=_WORKERS_SECONDS)
        console.print(f"Local server at {server.base_url}, events from {server.mqtt_url}", soft_wrap=True)
        with job_display(console, len(plan.jobs)) as display:
            return plan, await run_jobs(client, plan.jobs, display)


def _announced(console: Console, message: str) -> AbstractContextManager[object]:
    """Show a message while something takes its time; a pipe gets none of it."""
    return console.status(message) if console.is_interactive else nullcontext()


def _report(console: Console, plan: DemoPlan, outcomes: Sequence[Outcome], folder: Path | None) -> None:
    """The table, one line that sums it up, and one that says what could have been run as well."""
    console.print(results_table(outcomes))
    failed = sum(outcome.failed for outcome in outcomes)
    summary = f"{len(outcomes) - failed} of {len(outcomes)} jobs succeeded."
    where = f" The results are in {folder}" if folder is not None else ""
    console.print(Text(summary + where, style="red" if failed else ""), soft_wrap=True)
    if plan.left_out:
        tasks = ", ".join(plan.left_out)
        console.print(
            f"Left out, their models are not there yet: {tasks}. To fetch them: cl-client models pull",
            soft_wrap=True,
        )
