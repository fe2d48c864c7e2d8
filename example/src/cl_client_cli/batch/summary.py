"""What a run of a batch says at its end: what was done, what failed and why, and how to go on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client_cli.tasks.result_names import common_folder, relative_to
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from cl_client_cli.batch.manifest import BatchManifest
    from cl_client_cli.batch.run import BatchRun
    from cl_client_cli.frame.terminal import Terminal

_NAMES_PER_REASON: Final = 5


def resume_command(folder: Path) -> str:
    """The command that goes on with the batch in a folder."""
    return f"cl-client batch resume {shlex.quote(str(folder))}"


def resume_hint(folder: Path) -> str:
    """How to go on with the batch in a folder, as a sentence."""
    return f"To go on: {resume_command(folder)}"


def next_step(manifest: BatchManifest) -> str | None:
    """What is left to be done with a batch, as a sentence; None for nothing."""
    failed_for_good = any(not item.is_pending(retry_failed=False) for item in manifest.failures())
    if any(manifest.pending(retry_failed=False)):
        more = (
            "; with --retry-failed, what has failed for good is tried again, too" if failed_for_good else ""
        )
        return f"{resume_hint(manifest.folder)}{more}"
    if failed_for_good:
        return f"To try again what has failed: {resume_command(manifest.folder)} --retry-failed"
    return None


def say_summary(
    terminal: Terminal, manifest: BatchManifest, run: BatchRun, already_done: int, *, unsure: int
) -> None:
    """Say what a run has done.

    Args:
        terminal: Where to say it.
        manifest: The batch.
        run: The run.
        already_done: How many items earlier runs had done.
        unsure: How many had been on their way when the run before was ended.
    """
    words = [f"{run.ended['done']} done"]
    if copied := run.ended["copied"]:
        words.append(f"{copied} of them copied from files of the same content")
    if submitted := run.ended["submitted"]:
        words.append(f"{submitted} submitted ({resume_command(manifest.folder)} fetches the results)")
    if failures := run.ended["failed"]:
        words.append(f"{failures} failed")
    if before := already_done + run.ended["unchanged"]:
        words.append(f"{before} had been done before")
    terminal.say(f"{', '.join(words)}. The results are in {manifest.folder}")
    if unsure:
        were = "was on its way" if unsure == 1 else "were on their way"
        terminal.say(
            f"{unsure} {were} when the last run was ended: where the server had taken one, "
            "it has run it twice."
        )
    for line in failure_lines(manifest):
        terminal.error(line)


def failure_lines(manifest: BatchManifest) -> list[str]:
    """The failures by their reasons, each with the first few files, by what is below their common folder."""
    failures = list(manifest.failures())
    folder = common_folder(manifest.sources()) if failures else Path()
    names: dict[str, list[str]] = {}
    for item in failures:
        name = str(relative_to(folder, item.source))
        names.setdefault(f"{item.task}: {item.error}", []).append(name)
    lines: list[str] = []
    for reason, files in sorted(names.items(), key=lambda pair: -len(pair[1])):
        more = f" and {len(files) - _NAMES_PER_REASON} more" if len(files) > _NAMES_PER_REASON else ""
        lines.append(f"{reason} ({', '.join(files[:_NAMES_PER_REASON])}{more})")
    return lines


def say_added(terminal: Terminal, added: int, count: int, folder: Path) -> None:
    """Say how many jobs a submission has added to the batch in a folder."""
    are = "is" if 1 in {added, count} else "are"
    terminal.say(f"{added} of {counted(count, 'job')} {are} new in {folder}")
