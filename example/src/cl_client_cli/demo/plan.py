"""Plans the demo: the tasks for each file, their parameters, and the paths of their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cl_client.plugins import plugin_class
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from cl_client.plugins.image_conversion import ImageConversionParams
from cl_client_cli.tasks.job_outcome import JobRequest
from cl_client_cli.tasks.media_kinds import media_of
from cl_client_cli.tasks.result_names import candidate_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from cl_client import TaskParams
    from cl_client_cli.tasks.table import Media

SAMPLES_FOLDER: Final = "samples"

_VARIANTS: Final = (HlsVariant(resolution=360, bitrate=800), HlsVariant(resolution=180, bitrate=300))
"""Low resolutions, to keep the demo short."""
_ANNOTATED: Final = "faces.jpg"


@dataclass(frozen=True, slots=True)
class _DemoTask:
    """How the demo uses a task.

    Attributes:
        result: The name of the result in the photo's folder.
        params: The parameters; None for the defaults.
        suits: The kinds of files to run it on.
    """

    result: str
    params: TaskParams | None = None
    suits: tuple[Media, ...] = ("picture",)


_TASKS: Final[Mapping[str, _DemoTask]] = {
    "hash": _DemoTask("hash.json", suits=("picture", "video")),
    "exif": _DemoTask("exif_metadata.json"),
    "media_thumbnail": _DemoTask("thumbnail.jpg", suits=("picture", "video")),
    "image_conversion": _DemoTask("converted.webp", ImageConversionParams(format="webp")),
    "face_detection": _DemoTask("faces.json"),
    "clip_embedding": _DemoTask("clip_embedding.npy"),
    "dino_embedding": _DemoTask("dino_embedding.npy"),
    "face_embedding": _DemoTask("face_embedding.npy"),
    "hls_streaming": _DemoTask("hls", HlsStreamingParams(variants=_VARIANTS), suits=("video",)),
}
"""All tasks, in the order in which they are shown for a file."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The jobs to run, and the tasks that are skipped.

    Attributes:
        requests: For each file, all suitable tasks that the server offers.
        left_out: Suitable tasks that the server does not offer.
    """

    requests: tuple[JobRequest, ...]
    left_out: tuple[str, ...]


def plan_demo(photos: Sequence[Path], offered: Collection[str], output_dir: Path) -> DemoPlan:
    """Plan the jobs for some files.

    Args:
        photos: The files.
        offered: The tasks that the server offers.
        output_dir: The folder for the results.

    Returns:
        The plan.
    """
    folders = _result_folders(photos, output_dir)
    suitable = [
        _request(photo, task, folders[photo])
        for photo in photos
        for task in _TASKS
        if media_of(photo) in _TASKS[task].suits
    ]
    left_out = dict.fromkeys(request.task for request in suitable if request.task not in offered)
    return DemoPlan(tuple(request for request in suitable if request.task in offered), tuple(left_out))


def _request(photo: Path, task: str, folder: Path) -> JobRequest:
    use = _TASKS[task]
    params = use.params or plugin_class(task).params_model()
    annotated = folder / _ANNOTATED if task == "face_detection" else None
    return JobRequest(photo, task, params, folder / use.result, photo.name, annotated)


def _result_folders(photos: Sequence[Path], output_dir: Path) -> dict[Path, Path]:
    """A folder for each file, named after it."""
    folders: dict[Path, Path] = {}
    taken = {SAMPLES_FOLDER}
    for photo in photos:
        names = candidate_names(photo, "photo")
        # Many file systems ignore case.
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        folders[photo] = output_dir / name
    return folders
