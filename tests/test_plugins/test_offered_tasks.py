"""Every plugin that the server under test offers, from the file to the result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest
from PIL import Image

from cl_client import ComputeClient, plugins
from cl_client.local.samples import draw_photo, draw_video
from expected_hashes import expected_sha512

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Material:
    """What a workflow works with."""

    client: ComputeClient
    photo: Path
    video: Path
    folder: Path


async def use_clip_embedding(it: Material) -> None:
    job = await it.client.clip_embedding.embed_image(it.photo, wait=True)
    check_embedding(await it.client.clip_embedding.load(job), 512)


async def use_dino_embedding(it: Material) -> None:
    job = await it.client.dino_embedding.embed_image(it.photo, wait=True)
    check_embedding(await it.client.dino_embedding.load(job), 384)


async def use_face_embedding(it: Material) -> None:
    job = await it.client.face_embedding.embed_faces(it.photo, wait=True)
    check_embedding(await it.client.face_embedding.load(job), 512)


def check_embedding(embedding: NDArray[np.float32], dim: int) -> None:
    assert embedding.shape == (dim,)
    assert math.hypot(*cast("list[float]", embedding.tolist())) == pytest.approx(1, abs=1e-3)


async def use_exif(it: Material) -> None:
    output = (await it.client.exif.extract(it.photo, wait=True)).output
    assert (output.image_width, output.image_height) == (640, 480)
    assert output.model == output.tag("Model")
    assert output.taken_at is not None


async def use_face_detection(it: Material) -> None:
    job = await it.client.face_detection.detect(it.photo, wait=True)
    assert job.output.image_size == (640, 480)
    assert len(job.output.pixel_boxes) == job.output.num_faces
    assert len(await it.client.face_detection.download_crops(job, it.folder)) == job.output.num_faces


async def use_hash(it: Material) -> None:
    job = await it.client.hash.compute(it.photo, wait=True)
    result = await it.client.hash.load(job)
    assert result.hash_value == expected_sha512(it.photo, result.algorithm)


async def use_hls_streaming(it: Material) -> None:
    job = await it.client.hls_streaming.generate_manifest(it.video, include_original=True, wait=True)
    master = await it.client.hls_streaming.download(job, it.folder)
    assert master.name == "adaptive.m3u8"
    assert len(list(it.folder.rglob("adaptive-*p-*.ts"))) == job.output.total_segments
    assert len(list(it.folder.rglob("*.m3u8"))) == 2 + (job.output.variants_generated or 0)


async def use_image_conversion(it: Material) -> None:
    job = await it.client.image_conversion.convert(it.photo, "png", wait=True)
    with Image.open(await it.client.image_conversion.download(job, it.folder)) as picture:
        assert (picture.format, picture.size) == ("PNG", (640, 480))


async def use_media_thumbnail(it: Material) -> None:
    job = await it.client.media_thumbnail.generate(it.photo, width=64, wait=True)
    with Image.open(await it.client.media_thumbnail.download(job, it.folder / "small.jpg")) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 48))


WORKFLOWS: dict[str, Callable[[Material], Awaitable[None]]] = {
    "clip_embedding": use_clip_embedding,
    "dino_embedding": use_dino_embedding,
    "exif": use_exif,
    "face_detection": use_face_detection,
    "face_embedding": use_face_embedding,
    "hash": use_hash,
    "hls_streaming": use_hls_streaming,
    "image_conversion": use_image_conversion,
    "media_thumbnail": use_media_thumbnail,
}


@pytest.mark.parametrize("task", plugins.PLUGINS)
async def test_a_plugin_from_the_file_to_the_result(
    compute_client: ComputeClient,
    skip_unless_served: Callable[[str], Awaitable[None]],
    tmp_path: Path,
    task: str,
) -> None:
    await skip_unless_served(task)
    material = Material(compute_client, tmp_path / "photo.jpg", tmp_path / "video.mp4", tmp_path / "results")
    draw_photo(material.photo, size=(640, 480))
    if task == "hls_streaming":
        draw_video(material.video, seconds=2)
    material.folder.mkdir()
    await WORKFLOWS[task](material)
