"""The summary at the end of a batch run: what was done, what failed and why, and how to continue."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.failures import without_name
from cl_client_cli.tasks.result_names import common_folder, relative_to
from cl_client_cli.tasks.server_paths import read_in_place
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from cl_client_cli.batch.manifest import BatchManifest
    from cl_client_cli.batch.run import BatchRun
    from cl_client_cli.frame.terminal import Terminal

_NAMES_PER_REASON: Final = 5


def resume_command(folder: Path) -> str:
    """The command that resumes the batch in a folder.

    Args:
        folder: The folder of the batch.

    Returns:
        The command line.
    """
    return f"cl-client batch resume {shlex.quote(str(folder))}"


def resume_hint(folder: Path) -> str:
    """How to resume the batch in a folder.

    Args:
        folder: The folder of the batch.

    Returns:
        A sentence.
    """
    return f"To resume: {resume_command(folder)}"


def next_step(manifest: BatchManifest, *, is_work_left: bool) -> str | None:
    """How to continue with a batch.

    Args:
        manifest: The manifest of the batch.
        is_work_left: Whether the batch has pending items, apart from permanent failures.

    Returns:
        A sentence; None if nothing is left to do.
    """
    failed_for_good = any(not item.is_pending(retry_failed=False) for item in manifest.failures())
    if is_work_left:
        more = "; add --retry-failed to retry permanent failures too" if failed_for_good else ""
        return f"{resume_hint(manifest.folder)}{more}"
    if failed_for_good:
        return f"To retry failed jobs: {resume_command(manifest.folder)} --retry-failed"
    return None


def say_summary(
    terminal: Terminal, manifest: BatchManifest, run: BatchRun, already_done: int, *, unsure: int
) -> None:
    """Print what a run has done.

    Args:
        terminal: Where messages are printed.
        manifest: The manifest of the batch.
        run: The run.
        already_done: How many items earlier runs had finished.
        unsure: How many items were being submitted when the last run was ended.
    """
    words = [f"{run.ended['done']} done"]
    if copied := run.ended["copied"]:
        words.append(f"{copied} of them copied from files with the same content")
    if in_place := run.ended["in_place"]:
        words.append(read_in_place(in_place))
    if noted := run.ended["noted"]:
        words.append(f"{noted} with warnings")
    if submitted := run.ended["submitted"]:
        words.append(f"{submitted} submitted ({resume_command(manifest.folder)} downloads the results)")
    if failures := run.ended["failed"]:
        words.append(f"{failures} failed")
    if before := already_done + run.ended["unchanged"]:
        words.append(f"{before} already done before")
    terminal.say(f"{', '.join(words)}. The results are in {manifest.folder}")
    if unsure:
        were = "job was" if unsure == 1 else "jobs were"
        terminal.say(
            f"{unsure} {were} being submitted when the last run ended: a job that the server had already "
            "accepted has run twice."
        )
    for line in failure_lines(manifest):
        terminal.error(line)


def failure_lines(manifest: BatchManifest) -> list[str]:
    """List the failures by reason, each with the first few files, relative to their common folder.

    Args:
        manifest: The manifest of the batch.

    Returns:
        One line for each reason, the most frequent first.
    """
    failures = list(manifest.failures())
    folder = common_folder(manifest.sources()) if failures else Path()
    names: dict[str, list[str]] = {}
    for item in failures:
        name = str(relative_to(folder, item.source))
        reason = without_name(item.error or "", name)
        names.setdefault(f"{item.task}: {reason}", []).append(name)
    lines: list[str] = []
    for reason, files in sorted(names.items(), key=lambda pair: -len(pair[1])):
        more = f" and {len(files) - _NAMES_PER_REASON} more" if len(files) > _NAMES_PER_REASON else ""
        lines.append(f"{reason} ({', '.join(files[:_NAMES_PER_REASON])}{more})")
    return lines


def say_added(terminal: Terminal, added: int, count: int, folder: Path) -> None:
    """Print how many jobs a submission has added to the batch in a folder.

    Args:
        terminal: Where messages are printed.
        added: How many jobs are new.
        count: How many jobs were submitted.
        folder: The folder of the batch.
    """
    are = "is" if 1 in {added, count} else "are"
    terminal.say(f"{added} of {counted(count, 'job')} {are} new in {folder}")
