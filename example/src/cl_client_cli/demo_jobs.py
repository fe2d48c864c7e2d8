"""What the demo runs: which tasks suit a file, how each is submitted, and where its result goes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from cl_client import base_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from cl_client import ComputeClient, JobResponse, TaskOutput
    from cl_client.plugins.base import JobCallback

SAMPLES_FOLDER: Final = "samples"
CONVERSION_FORMAT: Final = "webp"

_PHOTO_TASKS: Final = ("hash", "exif", "media_thumbnail", "image_conversion")
_VIDEO_TASKS: Final = ("hash", "media_thumbnail")
_VIDEO_SUFFIXES: Final = frozenset(
    {".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv"}
)


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
class Submission:
    """What a job is submitted with, whatever its task.

    Attributes:
        client: The client.
        photo: The file.
        on_progress: Called for each change.
        on_complete: Called once, at the end.
    """

    client: ComputeClient
    photo: Path
    on_progress: JobCallback[TaskOutput]
    on_complete: JobCallback[TaskOutput]


def plan_jobs(photos: Sequence[Path], offered: Collection[str], output_dir: Path) -> list[DemoJob]:
    """Every task that a server offers and that suits the file, for each of the files."""
    folders = _result_folders(photos, output_dir)
    return [
        DemoJob(photo, task, folders[photo])
        for photo in photos
        for task in (_VIDEO_TASKS if photo.suffix.lower() in _VIDEO_SUFFIXES else _PHOTO_TASKS)
        if task in offered
    ]


def _result_folders(photos: Sequence[Path], output_dir: Path) -> dict[Path, Path]:
    """A folder for each file, named like it."""
    folders: dict[Path, Path] = {}
    taken = {SAMPLES_FOLDER}
    for photo in photos:
        stem = base_name(photo.stem, fallback="photo")
        with_suffix = f"{stem}-{photo.suffix.removeprefix('.')}" if photo.suffix else stem
        names = chain((stem, with_suffix), (f"{with_suffix}-{number}" for number in count(2)))
        # Many file systems take upper and lower case for the same.
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        folders[photo] = output_dir / name
    return folders


def submit(job: DemoJob, submission: Submission) -> Awaitable[JobResponse[TaskOutput]]:
    """Submit a job with the verb of its plugin."""
    return _VERBS[job.task](submission)


def _compute_hash(by: Submission) -> Awaitable[JobResponse[TaskOutput]]:
    return by.client.hash.compute(by.photo, on_progress=by.on_progress, on_complete=by.on_complete)


def _extract_exif(by: Submission) -> Awaitable[JobResponse[TaskOutput]]:
    return by.client.exif.extract(by.photo, on_progress=by.on_progress, on_complete=by.on_complete)


def _make_thumbnail(by: Submission) -> Awaitable[JobResponse[TaskOutput]]:
    return by.client.media_thumbnail.generate(
        by.photo, on_progress=by.on_progress, on_complete=by.on_complete
    )


def _convert(by: Submission) -> Awaitable[JobResponse[TaskOutput]]:
    return by.client.image_conversion.convert(
        by.photo, CONVERSION_FORMAT, on_progress=by.on_progress, on_complete=by.on_complete
    )


_VERBS: Final[Mapping[str, Callable[[Submission], Awaitable[JobResponse[TaskOutput]]]]] = {
    "hash": _compute_hash,
    "exif": _extract_exif,
    "media_thumbnail": _make_thumbnail,
    "image_conversion": _convert,
}
