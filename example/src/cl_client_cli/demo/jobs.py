"""What the demo runs: which tasks suit which file, and where their results go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cl_client_cli.demo.tasks import DEMO_TASKS
from cl_client_cli.tasks.media_kinds import media_of
from cl_client_cli.tasks.result_names import candidate_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

SAMPLES_FOLDER: Final = "samples"


@dataclass(frozen=True, slots=True)
class DemoJob:
    """One task on one file.

    Attributes:
        photo: The file.
        task: The task.
        folder: Where its result goes.
    """

    photo: Path
    task: str
    folder: Path


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What is run, and what is not.

    Attributes:
        jobs: Every task that the server offers and that suits the file, for each of the files.
        left_out: The tasks that would suit some of the files, if the server offered them.
    """

    jobs: tuple[DemoJob, ...]
    left_out: tuple[str, ...]


def plan_jobs(photos: Sequence[Path], offered: Collection[str], output_dir: Path) -> DemoPlan:
    """Find out what suits the files and can be run."""
    folders = _result_folders(photos, output_dir)
    suitable = [
        DemoJob(photo, name, folders[photo])
        for photo in photos
        for name, task in DEMO_TASKS.items()
        if media_of(photo) in task.suits
    ]
    left_out = dict.fromkeys(job.task for job in suitable if job.task not in offered)
    return DemoPlan(tuple(job for job in suitable if job.task in offered), tuple(left_out))


def _result_folders(photos: Sequence[Path], output_dir: Path) -> dict[Path, Path]:
    """A folder for each file, named like it."""
    folders: dict[Path, Path] = {}
    taken = {SAMPLES_FOLDER}
    for photo in photos:
        names = candidate_names(photo, "photo")
        # Many file systems take upper and lower case for the same.
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        folders[photo] = output_dir / name
    return folders
