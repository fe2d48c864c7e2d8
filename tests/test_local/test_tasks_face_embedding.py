"""Face embeddings with a small model that has the input and output of ArcFace."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from skimage import data

from cl_client.compute_client import ComputeClient
from cl_client.config import ComputeClientConfig
from cl_client.local import LocalServer
from cl_client.local.models.catalog import MODELS
from cl_client.local.models.store import ModelStore, ModelUnavailableError
from cl_client.local.samples import camera_exif, draw_photo
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.faces import face_detection, face_embedding
from cl_client.plugins.face_detection import FaceDetectionParams
from cl_client.plugins.face_embedding import FaceEmbeddingOutput, FaceEmbeddingParams
from patience import SECONDS
from pictures import NO_PICTURES, write_no_picture
from small_models import save_model
from support import yunet_model

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.generations import Generation

Floats = NDArray[np.float32]

RED = (220, 30, 90)
SIDE, BLOCK = 112, 8
BLOCKS = (SIDE // BLOCK) ** 2
INPUT_SHAPE = ("batch", SIDE, SIDE, 3)
SLICE = helper.make_node("Slice", ["all", "start", "end", "axis"], ["output"])
SLICE_ENDS = {
    name: np.array([value], dtype=np.int64) for name, value in (("start", 0), ("end", 512), ("axis", 1))
}


def save_seeing_model(path: Path) -> None:
    """The model gives the means of blocks of 8 x 8 pixels: all of red and green, and 120 of blue."""
    nodes = [
        helper.make_node("Transpose", ["face"], ["colours"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["colours"], ["blocks"], kernel_shape=[BLOCK, BLOCK], strides=[BLOCK, BLOCK]
        ),
        helper.make_node("Flatten", ["blocks"], ["all"]),
        SLICE,
    ]
    save_model(path, nodes, {**SLICE_ENDS}, INPUT_SHAPE, inputs=("face",))


def expected_of(face: Image.Image) -> Floats:
    """What the seeing model gives of a face of 112 x 112 pixels, but for Pillow's rounding to 1/255."""
    blocks = np.asarray(face.reduce(BLOCK), dtype=np.float32) / np.float32(255)
    return blocks.transpose(2, 0, 1).reshape(-1)[:512]


def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


def likeness(one: Floats, other: Floats) -> float:
    """The correlation of two embeddings."""
    this, that = one - np.mean(one, dtype=np.float64), other - np.mean(other, dtype=np.float64)
    return float(this @ that) / float(np.linalg.norm(this) * np.linalg.norm(that))


class Embed(Protocol):
    def __call__(self, source: Path, *, normalize: bool = False) -> Floats: ...


def embedding_with(models: ModelStore, folder: Path) -> Embed:
    """Runs the task, checks what holds for every picture; what is in the file that it writes."""

    def run(source: Path, *, normalize: bool = False) -> Floats:
        output = folder / "output" / "face_embedding.npy"
        output.parent.mkdir(exist_ok=True)
        progress: list[int] = []
        params = FaceEmbeddingParams(normalize=normalize)
        told = face_embedding.run(TaskContext(params, source, output, folder, progress.append, models))
        assert progress == sorted(progress)
        assert told.keys() == {"embedding_dim", "normalized", "quality_score"}
        known = FaceEmbeddingOutput.model_validate(told)
        assert (known.embedding_dim, known.normalized) == (512, normalize)
        assert known.quality_score is not None
        assert 0 <= known.quality_score <= 1
        return load_vector(output.read_bytes())

    return run


def load_vector(content: bytes) -> Floats:
    vector = cast("Floats", np.load(io.BytesIO(content), allow_pickle=False))
    assert vector.dtype == np.float32
    assert vector.shape == (512,)
    return vector


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    """Without YuNet."""
    store = ModelStore(tmp_path / "models")
    save_seeing_model(store.target("arcface"))
    return store


@pytest.fixture
def embed(models: ModelStore, tmp_path: Path) -> Embed:
    return embedding_with(models, tmp_path)


@pytest.fixture
def models_with_yunet(models: ModelStore) -> ModelStore:
    return ModelStore(models.folder, {"yunet": yunet_model()})


@pytest.fixture
def embed_aligned(models_with_yunet: ModelStore, tmp_path: Path) -> Embed:
    return embedding_with(models_with_yunet, tmp_path)


def test_colours_become_red_green_and_blue_from_0_to_1(tmp_path: Path, embed: Embed) -> None:
    source = tmp_path / "red.png"
    Image.new("RGB", (200, 300), RED).save(source)
    red, green, blue = (value / 255 for value in RED)
    expected = [red] * BLOCKS + [green] * BLOCKS + [blue] * (512 - 2 * BLOCKS)
    np.testing.assert_allclose(embed(source), expected, rtol=1e-5)


def test_a_crop_is_used_as_it_is(tmp_path: Path, embed_aligned: Embed) -> None:
    source = tmp_path / "face_0.png"
    crop = astronaut().crop((167, 60, 279, 172))
    crop.save(source)
    np.testing.assert_allclose(embed_aligned(source), expected_of(crop), atol=0.003)


def test_without_a_detector_the_whole_picture_is_squeezed(tmp_path: Path, embed: Embed) -> None:
    source = tmp_path / "photo.png"
    picture = astronaut().crop((0, 0, 512, 300))
    picture.save(source)
    squeezed = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(embed(source), expected_of(squeezed), atol=0.003)


def test_a_photo_without_a_face_is_squeezed(tmp_path: Path, embed: Embed, embed_aligned: Embed) -> None:
    source = tmp_path / "coffee.png"
    Image.fromarray(data.coffee()).save(source)
    np.testing.assert_array_equal(embed_aligned(source), embed(source))


def test_a_photo_gives_what_the_crop_of_its_face_gives(
    tmp_path: Path, models_with_yunet: ModelStore, embed_aligned: Embed, embed: Embed
) -> None:
    source = tmp_path / "photo.png"
    astronaut().save(source)
    (tmp_path / "output").mkdir()
    output = tmp_path / "output" / "face_detection.json"
    face_detection.run(TaskContext(FaceDetectionParams(), source, output, tmp_path, print, models_with_yunet))
    of_photo, of_crop = embed_aligned(source), embed_aligned(tmp_path / "faces" / "face_0.png")
    np.testing.assert_allclose(of_photo, of_crop, atol=1e-6)
    assert likeness(of_photo, embed(source)) < 0.5


def test_a_turned_photo_gives_the_same(tmp_path: Path, embed_aligned: Embed) -> None:
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.png"
    astronaut().save(upright)
    astronaut().transpose(Image.Transpose.ROTATE_90).save(turned, exif=camera_exif(6))
    np.testing.assert_allclose(embed_aligned(turned), embed_aligned(upright), atol=1e-6)


def transparent() -> Image.Image:
    picture = astronaut().convert("RGBA")
    picture.paste((0, 0, 0, 0), (300, 0, 512, 512))
    return picture


@pytest.mark.parametrize("name", ["photo.webp", "photo.heic", "photo.gif", "alpha.png", "16 bits.png"])
def test_every_kind_of_picture(tmp_path: Path, embed_aligned: Embed, name: str) -> None:
    draw_photo(tmp_path / "any.heic", size=(8, 8))  # makes Pillow know HEIC
    source, plain = tmp_path / name, tmp_path / "plain.png"
    if name == "16 bits.png":
        grey = np.asarray(astronaut().convert("L"), dtype=np.uint16)
        Image.fromarray((grey * 257).astype(np.uint16)).save(source)
        astronaut().convert("L").save(plain)
    else:
        (transparent() if name == "alpha.png" else astronaut()).save(source)
        astronaut().save(plain)
    assert likeness(embed_aligned(source), embed_aligned(plain)) > 0.97


def test_a_vector_is_scaled_to_unit_length_if_asked(tmp_path: Path, embed: Embed) -> None:
    source = tmp_path / "photo.png"
    astronaut().save(source)
    raw, unit = embed(source), embed(source, normalize=True)
    length = float(np.linalg.norm(raw.astype(np.float64)))
    assert length > 2
    np.testing.assert_allclose(unit, raw / length, rtol=1e-5)


def quality_of(picture: Image.Image, folder: Path, models: ModelStore) -> float:
    source, output = folder / "face.png", folder / "face.npy"
    picture.save(source)
    context = TaskContext(FaceEmbeddingParams(), source, output, folder, print, models)
    score = FaceEmbeddingOutput.model_validate(face_embedding.run(context)).quality_score
    assert score is not None
    return score


def test_the_quality_score_is_the_laplacians_variance(tmp_path: Path, models: ModelStore) -> None:
    flat = Image.new("L", (SIDE, SIDE), 100)
    assert quality_of(flat, tmp_path, models) == 0
    # One brighter pixel makes one Laplacian of four times the difference and, beside it, four of one time.
    flat.putpixel((50, 60), 200)
    variance = (4**2 + 4) * 100**2 / SIDE**2
    assert quality_of(flat, tmp_path, models) == pytest.approx(variance / 100)
    noise = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    assert quality_of(Image.fromarray(noise), tmp_path, models) == 1


@pytest.mark.parametrize(("name", "message"), NO_PICTURES)
def test_what_is_no_picture_fails(tmp_path: Path, embed: Embed, name: str, message: str) -> None:
    source = tmp_path / name
    write_no_picture(source, astronaut())
    with pytest.raises(TaskFailedError, match=message):
        embed(source)
    assert not list((tmp_path / "output").iterdir())


def save_unsuitable_model(path: Path, fault: str) -> None:
    flatten = helper.make_node("Flatten", ["face"], ["output"])
    if fault == "another":
        save_model(path, [flatten], shape=("batch", 3, 224, 224), inputs=("face",))
    elif fault == "too long":
        save_model(path, [flatten], shape=INPUT_SHAPE, inputs=("face",))
    else:
        nodes = [
            helper.make_node("Sub", ["face", "face"], ["zeros"]),
            helper.make_node("Div", ["face", "zeros"], ["quotients"]),
            helper.make_node("Flatten", ["quotients"], ["all"]),
            SLICE,
        ]
        save_model(path, nodes, {**SLICE_ENDS}, INPUT_SHAPE, inputs=("face",))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("another", r"input is any x 3 x 224 x 224, but this task needs 1 x 112 x 112 x 3"),
        ("too long", r"output has shape \(1, 37632\), not 512 numbers"),
        ("infinite", r"output has NaN or infinity"),
    ],
)
def test_a_model_that_does_not_suit_fails(tmp_path: Path, fault: str, message: str) -> None:
    models = ModelStore(tmp_path / "models")
    save_unsuitable_model(models.target("arcface"), fault)
    source = tmp_path / "photo.png"
    astronaut().save(source)
    with pytest.raises(TaskFailedError, match=rf"^{MODELS['arcface'].file_name}: .*{message}"):
        embedding_with(models, tmp_path)(source)
    assert not list((tmp_path / "output").iterdir())


def test_without_arcface_it_fails_and_is_not_announced(tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    astronaut().save(source)
    with pytest.raises(ModelUnavailableError, match=r"arcface_face_embedding\.onnx .*models pull arcface"):
        embedding_with(ModelStore(tmp_path / "models"), tmp_path)(source)
    assert "face_embedding" not in LocalServer(models_dir=tmp_path / "models").task_types


@pytest.mark.parametrize("generation", ["A", "C"])
async def test_through_server_and_client(
    tmp_path: Path, models_with_yunet: ModelStore, embed_aligned: Embed, generation: Generation
) -> None:
    source = tmp_path / "photo.png"
    astronaut().save(source)
    store = models_with_yunet
    with LocalServer(
        generation=generation, workers=1, models_dir=store.folder, models=store.overrides
    ) as server:
        assert "face_embedding" in server.task_types
        config = ComputeClientConfig.create(base_url=server.base_url, mqtt_broker=server.mqtt_url)
        async with ComputeClient(config=config) as client:
            job = await client.face_embedding.embed_faces(source, wait=True, timeout=SECONDS)
            job.raise_for_status()
            assert job.output is not None
            assert (job.output.embedding_dim, job.output.normalized) == (512, True)
            assert job.output.quality_score is not None
            assert job.output.quality_score > 0.5
            ending = "nb" if generation == "A" else "npy"
            assert job.params["output_path"] == f"output/face_embedding.{ending}"
            saved = tmp_path / "saved.npy"
            written = "output/face_embedding.nb.npy" if generation == "A" else "output/face_embedding.npy"
            await client.download_job_file(job.job_id, written, saved)
    np.testing.assert_array_equal(load_vector(saved.read_bytes()), embed_aligned(source, normalize=True))
