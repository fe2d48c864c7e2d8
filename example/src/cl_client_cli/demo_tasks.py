"""The demo's tasks: how each is run, what of its result is kept, and how that is told in a few words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import av
import numpy as np
from rich.filesize import decimal

from cl_client.plugins.hls_streaming import HlsVariant
from cl_client_cli.demo_pictures import draw_faces, picture_size

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from cl_client import ComputeClient, JobResponse, TaskOutput
    from cl_client.plugins.base import SubmitOptions
    from cl_client.plugins.embedding import EmbeddingClient, EmbeddingT
    from cl_client.plugins.face_detection import FaceDetectionOutput

Media: TypeAlias = Literal["picture", "video"]

_HASH_DIGITS: Final = 16
_FORMAT: Final = "webp"
_VARIANTS: Final = (HlsVariant(resolution=360, bitrate=800), HlsVariant(resolution=180, bitrate=300))
"""Small ones, so that a demo stays short."""
_FACES_SIDE: Final = 1024
"""Pixels, at most, of the picture on which faces are marked."""
_UNIT_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class TaskRun:
    """What a task is run with.

    Attributes:
        client: The client.
        file: The file.
        folder: Where what is kept of the result goes; made when there is something.
        options: For the submit: to wait for the end, and whom to tell of the progress.
    """

    client: ComputeClient
    file: Path
    folder: Path
    options: SubmitOptions[TaskOutput]


@dataclass(frozen=True, slots=True)
class DemoTask:
    """How the demo uses a task.

    Attributes:
        run: Runs it, keeps what came out, and says that in a few words.
        suits: What kinds of files it is run on.
    """

    run: Callable[[TaskRun], Awaitable[str]]
    suits: tuple[Media, ...] = ("picture",)


async def _hash(it: TaskRun) -> str:
    plugin = it.client.hash
    job = await plugin.compute(it.file, **it.options)
    await plugin.download(job, it.folder / "hash.json")
    result = await plugin.load(job)
    return f"{result.algorithm} {result.hash_value[:_HASH_DIGITS]}..."


async def _exif(it: TaskRun) -> str:
    plugin = it.client.exif
    job = await plugin.extract(it.file, **it.options)
    await plugin.download(job, it.folder / "exif_metadata.json")
    metadata = job.output
    make, model = metadata.make or "", metadata.model or ""
    # Many makers repeat their name in the model's.
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    taken = ", ".join(filter(None, (camera, metadata.date_time_original)))
    return taken or str(metadata.tag("ImageDescription") or "no camera and no date in it")


async def _media_thumbnail(it: TaskRun) -> str:
    plugin = it.client.media_thumbnail
    job = await plugin.generate(it.file, **it.options)
    file = await plugin.download(job, it.folder / "thumbnail.jpg")
    width, height = await asyncio.to_thread(picture_size, file)
    return f"{width} x {height} pixels, {decimal(file.stat().st_size)}"


async def _image_conversion(it: TaskRun) -> str:
    plugin = it.client.image_conversion
    job = await plugin.convert(it.file, _FORMAT, **it.options)
    file = await plugin.download(job, it.folder / f"converted.{_FORMAT}")
    return f"{_FORMAT}, {decimal(file.stat().st_size)} from {decimal(it.file.stat().st_size)}"


async def _face_detection(it: TaskRun) -> str:
    plugin = it.client.face_detection
    job = await plugin.detect(it.file, **it.options)
    await plugin.download(job, it.folder / "face_detection.json")
    if job.output.faces:
        await plugin.download_crops(job, it.folder / "faces")
        await _mark_faces(it, job.output)
    return _faces_in_words(job.output)


async def _mark_faces(it: TaskRun, found: FaceDetectionOutput) -> None:
    """Mark the faces on a thumbnail, which is upright and opaque whatever the file is."""
    plugin = it.client.media_thumbnail
    job = await plugin.generate(it.file, _FACES_SIDE, _FACES_SIDE, wait=True, raise_on_failure=True)
    thumbnail = await plugin.read(job)
    await asyncio.to_thread(draw_faces, thumbnail, found.faces, it.folder / "faces.jpg")


def _faces_in_words(found: FaceDetectionOutput) -> str:
    count = len(found.faces)
    words = f"{count or 'no'} {'face' if count <= 1 else 'faces'}"
    if found.faces:
        confidences = [f"{face.confidence:.2f}" for face in found.faces]
        low, high = min(confidences), max(confidences)
        words += f", confidence {low}" if low == high else f", confidence {low} to {high}"
    return words if found.engine is None else f"{words} ({found.engine})"


async def _hls_streaming(it: TaskRun) -> str:
    plugin = it.client.hls_streaming
    job = await plugin.generate_manifest(it.file, variants=_VARIANTS, **it.options)
    master = await plugin.download(job, it.folder / "hls")
    seconds = await asyncio.to_thread(_playing_time, master)
    return f"{job.output.variants_generated} variants, {job.output.total_segments} segments, {seconds:.1f} s"


def _playing_time(master: Path) -> float:
    """Open a stream as a player would, and see how many seconds it has."""
    with av.open(str(master)) as stream:
        return (stream.duration or 0) / av.time_base


async def _clip_embedding(it: TaskRun) -> str:
    job = await it.client.clip_embedding.embed_image(it.file, **it.options)
    return await _kept_embedding(it, it.client.clip_embedding, job)


async def _dino_embedding(it: TaskRun) -> str:
    job = await it.client.dino_embedding.embed_image(it.file, **it.options)
    return await _kept_embedding(it, it.client.dino_embedding, job)


async def _face_embedding(it: TaskRun) -> str:
    job = await it.client.face_embedding.embed_faces(it.file, **it.options)
    return await _kept_embedding(it, it.client.face_embedding, job)


async def _kept_embedding(it: TaskRun, plugin: EmbeddingClient[EmbeddingT], job: JobResponse) -> str:
    await plugin.download(job, it.folder / f"{job.task_type}.npy")
    vector = await plugin.load(job)
    length = float(np.linalg.norm(vector))
    is_unit = abs(length - 1) < _UNIT_TOLERANCE
    return f"{vector.size} numbers, {'unit length' if is_unit else f'length {length:.3g}'}"


DEMO_TASKS: Final[Mapping[str, DemoTask]] = {
    "hash": DemoTask(_hash, suits=("picture", "video")),
    "exif": DemoTask(_exif),
    "media_thumbnail": DemoTask(_media_thumbnail, suits=("picture", "video")),
    "image_conversion": DemoTask(_image_conversion),
    "face_detection": DemoTask(_face_detection),
    "clip_embedding": DemoTask(_clip_embedding),
    "dino_embedding": DemoTask(_dino_embedding),
    "face_embedding": DemoTask(_face_embedding),
    "hls_streaming": DemoTask(_hls_streaming, suits=("video",)),
}
"""Every task of a server, in the order in which a file's are shown."""
