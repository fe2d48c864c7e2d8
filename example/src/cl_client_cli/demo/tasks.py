"""What the demo runs each task with, where it keeps the result, and what it makes of it beside that."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cl_client.models import TaskParams
from cl_client.plugins.face_detection import FaceDetectionOutput
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from cl_client.plugins.image_conversion import ImageConversionParams
from cl_client_cli.pictures.faces import mark_faces
from cl_client_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from cl_client import ComputeClient, TaskOutput
    from cl_client.plugins.base import SubmitOptions
    from cl_client_cli.demo.jobs import DemoJob
    from cl_client_cli.tasks.table import Media, TaskResult

_VARIANTS: Final = (HlsVariant(resolution=360, bitrate=800), HlsVariant(resolution=180, bitrate=300))
"""Small ones, so that a demo stays short."""
_FACES_SIDE: Final = 1024
"""Pixels, at most, of the picture on which faces are marked."""


@dataclass(frozen=True, slots=True)
class DemoTask:
    """How the demo uses a task.

    Attributes:
        result: What the result is called in the photo's folder.
        params: The parameters where they are not the defaults.
        after: What is made of a result.
        suits: The kinds of files it is run on.
    """

    result: str
    params: TaskParams = field(default_factory=TaskParams)
    after: Callable[[ComputeClient, DemoJob, TaskResult], Awaitable[None]] | None = None
    suits: tuple[Media, ...] = ("picture",)

    def target(self, folder: Path) -> Path:
        """Where the result goes."""
        return folder / self.result


async def _mark_faces(client: ComputeClient, job: DemoJob, result: TaskResult) -> None:
    """Mark the faces on a thumbnail, which is upright and opaque whatever the file is."""
    found = FaceDetectionOutput.model_validate(result.data)
    if not found.faces:
        return
    plugin = client.media_thumbnail
    made = await plugin.generate(job.photo, _FACES_SIDE, _FACES_SIDE, wait=True, raise_on_failure=True)
    thumbnail = await plugin.read(made)
    await asyncio.to_thread(mark_faces, thumbnail, found.faces, job.folder / "faces.jpg")


DEMO_TASKS: Final[Mapping[str, DemoTask]] = {
    "hash": DemoTask("hash.json", suits=("picture", "video")),
    "exif": DemoTask("exif_metadata.json"),
    "media_thumbnail": DemoTask("thumbnail.jpg", suits=("picture", "video")),
    "image_conversion": DemoTask("converted.webp", ImageConversionParams(format="webp")),
    "face_detection": DemoTask("faces.json", after=_mark_faces),
    "clip_embedding": DemoTask("clip_embedding.npy"),
    "dino_embedding": DemoTask("dino_embedding.npy"),
    "face_embedding": DemoTask("face_embedding.npy"),
    "hls_streaming": DemoTask("hls", HlsStreamingParams(variants=_VARIANTS), suits=("video",)),
}
"""Every task of a server, in the order in which a file's are shown."""


async def keep_result(client: ComputeClient, job: DemoJob, options: SubmitOptions[TaskOutput]) -> str:
    """Run a task, keep what came out, and say it in a few words.

    Raises:
        ComputeClientError: It failed.
        OSError: The file cannot be read, or the result not be kept.
    """
    task = DEMO_TASKS[job.task]
    done = await client.plugin(job.task).submit(job.photo, task.params, **options)
    result = await TASKS[job.task].fetch(client, done, task.target(job.folder))
    if task.after is not None:
        await task.after(client, job, result)
    return result.summary
