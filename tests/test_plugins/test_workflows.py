"""What people do with the client, from the photo or video on their disk to what they wanted of it."""

from __future__ import annotations

import asyncio
import io
from datetime import datetime
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat
from skimage import data

from cl_client.local import LocalServer
from cl_client.local.samples import camera_exif
from cl_client.models import JobResponse
from cl_client.plugins.hls_streaming import HlsVariant
from expected_hashes import expected_sha512
from hls_playback import Playlist, assert_corners
from small_models import save_small_models
from support import yunet_model
from video_clips import Clip, steady

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client import ComputeClient
    from cl_client.local.generations import Generation
    from cl_client.plugins.embedding import EmbeddingClient, EmbeddingOutput
    from cl_client.plugins.face_detection import FaceDetectionOutput, PixelBox

    Embedding = NDArray[np.float32]

FACE = (178, 63, 268, 176)
"""Where the astronaut's face is: left, top, right, bottom."""


@pytest.fixture(scope="module", params=["A", "B", "C"])
def generation(request: pytest.FixtureRequest) -> Generation:
    return cast("Generation", request.param)


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_small_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module", params=["included", "configured"])
def yunet(request: pytest.FixtureRequest) -> str:
    """Which file of YuNet finds faces."""
    return cast("str", request.param)


@pytest.fixture(scope="module")
def server(generation: Generation, yunet: str, small_models: dict[str, Path]) -> Generator[LocalServer]:
    """It finds no other models than these."""
    models = {**small_models, "yunet": yunet_model()} if yunet == "configured" else small_models
    folder = small_models["arcface"].parent
    with LocalServer(generation=generation, workers=2, models_dir=folder, models=models) as running:
        yield running


with_included_yunet = pytest.mark.parametrize("yunet", ["included"], indirect=True)


def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far the colours of two pictures are from each other on average, of 255."""
    pair = (picture.convert("RGB").resize((64, 64), Image.Resampling.BOX) for picture in (one, other))
    return max(ImageStat.Stat(ImageChops.difference(*pair)).mean)


async def download_faces(
    client: ComputeClient, photo: Path, job: JobResponse[FaceDetectionOutput], folder: Path
) -> list[Path]:
    """The picture of each face; those that the server has not cut out are cut out here."""
    crops = await client.face_detection.download_crops(job, folder)
    boxes = job.output.pixel_boxes
    return [crop or cut_out(photo, box, folder) for crop, box in zip(crops, boxes, strict=True)]


def cut_out(photo: Path, box: PixelBox, folder: Path) -> Path:
    target = folder / f"{box.left}-{box.top}.png"
    folder.mkdir(exist_ok=True)
    with Image.open(photo) as stored:
        ImageOps.exif_transpose(stored).crop(box).save(target)
    return target


async def embed_faces(
    client: ComputeClient, photo: Path, folder: Path
) -> tuple[JobResponse[FaceDetectionOutput], list[Embedding]]:
    """The faces on a photo, and the embedding of each."""

    async def embed(face: Path) -> Embedding:
        job = await client.face_embedding.embed_faces(face, wait=True, raise_on_failure=True)
        return await client.face_embedding.load(job)

    detected = await client.face_detection.detect(photo, wait=True, raise_on_failure=True)
    faces = await download_faces(client, photo, detected, folder)
    return detected, await asyncio.gather(*map(embed, faces))


async def test_everything_about_one_photo_at_once(server: LocalServer, tmp_path: Path) -> None:
    photo = tmp_path / "astronaut.jpg"
    # As a phone that was held upright stores it.
    astronaut().transpose(Image.Transpose.ROTATE_90).save(photo, exif=camera_exif(6), quality=95)

    async with server.client() as client:
        # A gather of this many would lose their types.
        async with asyncio.TaskGroup() as tasks:
            exif = tasks.create_task(client.exif.extract(photo, wait=True))
            thumbnail = tasks.create_task(client.media_thumbnail.generate(photo, 128, 128, wait=True))
            clip = tasks.create_task(client.clip_embedding.embed_image(photo, wait=True))
            dino = tasks.create_task(client.dino_embedding.embed_image(photo, wait=True))
            digest = tasks.create_task(client.hash.compute(photo, wait=True))
            conversion = tasks.create_task(client.image_conversion.convert(photo, "webp", wait=True))
            faces = tasks.create_task(embed_faces(client, photo, tmp_path / "faces"))
        small, converted, of_clip, of_dino, hashed = await asyncio.gather(
            client.media_thumbnail.read(thumbnail.result()),
            client.image_conversion.download(conversion.result(), tmp_path),
            client.clip_embedding.load(clip.result()),
            client.dino_embedding.load(dino.result()),
            client.hash.load(digest.result()),
        )

    facts = exif.result().output
    assert (facts.make, facts.model, facts.orientation) == ("Canon", "EOS R5", 6)
    assert facts.taken_at == datetime(2025, 6, 21, 20, 47, 11)  # noqa: DTZ001 - the camera's clock has no zone
    assert facts.gps_latitude == pytest.approx(45.97639, abs=1e-5)
    with Image.open(io.BytesIO(small)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (128, 128))
        assert difference(picture, astronaut()) < 5
    assert (of_clip.shape, of_dino.shape) == ((512,), (384,))
    assert hashed.hash_value == expected_sha512(photo, "sha512_image")
    assert converted == tmp_path / "converted_astronaut.webp"
    with Image.open(converted) as picture:
        assert (picture.format, picture.size) == ("WEBP", (512, 512))
        assert difference(picture, astronaut()) < 5
    detected, embeddings = faces.result()
    assert detected.output.engine == "yunet"
    ((box,), (embedding,)) = detected.output.pixel_boxes, embeddings
    assert box == pytest.approx(FACE, abs=25)
    assert embedding.shape == (512,)
    assert float(np.linalg.norm(embedding)) == pytest.approx(1, abs=1e-5)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """The astronaut large, the astronaut small, and a cup of coffee."""
    coffee = Image.fromarray(data.coffee())
    pictures = {"large.jpg": astronaut().resize((1024, 1024)), "small.webp": astronaut().resize((200, 200))}
    for name, picture in {**pictures, "coffee.jpg": coffee}.items():
        picture.save(tmp_path / name)
    return [tmp_path / name for name in ("large.jpg", "small.webp", "coffee.jpg")]


@with_included_yunet
@pytest.mark.parametrize("task", ["clip_embedding", "dino_embedding", "face_embedding"])
async def test_photos_are_told_apart_by_their_embeddings(
    server: LocalServer, photos: list[Path], task: str
) -> None:
    async with server.client() as client:
        plugin = cast("EmbeddingClient[EmbeddingOutput]", cast("object", client.plugin(task)))
        found = {
            photo: await plugin.load(job)
            async for photo, job in plugin.embed_images(photos, concurrency=3)
            if isinstance(job, JobResponse)
        }
    large, small, coffee = (found[photo] for photo in photos)
    assert float(large @ small) > 0.99
    assert float(large @ coffee) < 0.9


@with_included_yunet
async def test_a_video_plays_from_the_folder_that_its_stream_was_downloaded_to(
    server: LocalServer, tmp_path: Path
) -> None:
    video = Clip(times=steady(10), flash=7.0).write(tmp_path / "clip.mp4")
    variants = (HlsVariant(resolution=240, bitrate=600), HlsVariant(resolution=120, bitrate=150))
    async with server.client() as client:
        job = await client.hls_streaming.generate_manifest(
            video, variants=variants, include_original=True, wait=True, raise_on_failure=True
        )
        master = await client.hls_streaming.download(job, tmp_path / "stream")
        await client.delete_job(job.job_id)

    assert len(list(master.parent.glob("adaptive-*p-*.ts"))) == job.output.total_segments == 10
    with av.open(str(master)) as container:  # as a player does, which then chooses one of the variants
        assert (container.duration or 0) / av.time_base == pytest.approx(10, abs=0.05)
        assert [stream.height for stream in container.streams.video] == [240, 120]
    for name, size in {"240p-600": (320, 240), "120p-150": (160, 120), "orig": (320, 240)}.items():
        played = Playlist(master.with_name(f"adaptive-{name}.m3u8"))
        assert played.size == size
        assert played.duration == pytest.approx(10, abs=0.05)
        assert played.times == pytest.approx(steady(10), abs=0.002)
        assert played.sound_seconds == pytest.approx(10, abs=0.1)
        assert played.flash == pytest.approx(7, abs=0.002)
        assert played.beep == pytest.approx(7, abs=0.05)
        assert_corners(played.frames[-1])
