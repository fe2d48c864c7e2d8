"""CLIP and DINO embeddings with small models that have the inputs and outputs of the public ones."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from onnx import helper
from PIL import Image

from cl_client.local import LocalServer
from cl_client.local.models.catalog import MODELS
from cl_client.local.models.store import ModelStore, ModelUnavailableError
from cl_client.local.samples import camera_exif, draw_drawing, draw_photo
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.embeddings import clip_embedding, dino_embedding, onnx_model
from cl_client.plugins.clip_embedding import ClipEmbeddingParams
from cl_client.plugins.dino_embedding import DinoEmbeddingParams
from pictures import NO_PICTURES, corners_picture, write_no_picture
from small_models import SIDE, random_weights, save_clip_model, save_dino_model, save_model, save_seeing_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.test_local.conftest import Caller

    from cl_client.local.generations import Generation

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RED, GREY = (220, 30, 90), (90, 90, 90)


class Constants(NamedTuple):
    """What the models were trained with, as their authors' papers and code have it."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


CONSTANTS = {
    "clip": Constants((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "dino": Constants((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
MODEL_NAMES = {"clip": "mobileclip", "dino": "dinov2"}


class Embed(Protocol):
    def __call__(self, source: Path, kind: str = "clip", *, normalize: bool = False) -> Floats: ...


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def embed(tmp_path: Path, store: ModelStore) -> Embed:
    """Runs a task on the store's models; what is in the file that it writes."""

    def run(source: Path, kind: str = "clip", *, normalize: bool = False) -> Floats:
        output = tmp_path / "output" / "embedding.npy"
        output.parent.mkdir(exist_ok=True)
        output.unlink(missing_ok=True)
        if kind == "clip":
            clip = ClipEmbeddingParams(normalize=normalize)
            told = clip_embedding.run(TaskContext(clip, source, output, tmp_path, print, store))
        else:
            dino = DinoEmbeddingParams(normalize=normalize)
            told = dino_embedding.run(TaskContext(dino, source, output, tmp_path, print, store))
        vector = load_vector(output.read_bytes())
        assert told == {"embedding_dim": vector.size, "normalized": normalize}
        assert list(output.parent.iterdir()) == [output]
        return vector

    return run


def load_vector(content: bytes) -> Floats:
    vector = cast("Floats", np.load(io.BytesIO(content), allow_pickle=False))
    assert vector.dtype == np.float32
    assert vector.ndim == 1
    return vector


@pytest.fixture
def seen(store: ModelStore, embed: Embed) -> Embed:
    """What a model is given of a picture: 3 x 224 x 224, back in colours from 0 to 255."""
    for name in MODEL_NAMES.values():
        save_seeing_model(store.target(name))

    def run(source: Path, kind: str = "clip", *, normalize: bool = False) -> Floats:
        mean, std = (np.array(values).reshape(3, 1, 1) for values in CONSTANTS[kind])
        given = embed(source, kind, normalize=normalize).reshape(3, SIDE, SIDE)
        return ((given * std + mean) * 255).astype(np.float32)

    return run


@pytest.mark.parametrize("kind", ["clip", "dino"])
def test_colours_become_the_numbers_that_the_model_was_trained_with(
    tmp_path: Path, store: ModelStore, embed: Embed, kind: str
) -> None:
    save_seeing_model(store.target(MODEL_NAMES[kind]))
    source = tmp_path / "red.png"
    Image.new("RGB", (40, 30), RED).save(source)
    expected = [(value / 255 - mean) / std for value, mean, std in zip(RED, *CONSTANTS[kind], strict=True)]
    given = embed(source, kind).reshape(3, SIDE * SIDE)
    np.testing.assert_allclose(given, np.repeat(expected, SIDE * SIDE).reshape(given.shape), rtol=1e-5)


def bicubic(distance: float) -> float:
    """Keys' cubic convolution with a = -0.5, which is Pillow's."""
    x = abs(distance)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def bilinear(distance: float) -> float:
    return max(0.0, 1 - abs(distance))


def enlarging(size: int, *, cubic: bool) -> Doubles:
    """The matrix that enlarges a row of pixels to 224."""
    kernel = bicubic if cubic else bilinear
    rows = [
        [kernel((target + 0.5) * size / SIDE - 0.5 - source) for source in range(size)]
        for target in range(SIDE)
    ]
    return np.array([[weight / sum(row) for weight in row] for row in rows])


@pytest.mark.parametrize("kind", ["clip", "dino"])
def test_the_whole_picture_is_resized_with_the_models_filter(tmp_path: Path, seen: Embed, kind: str) -> None:
    noise = np.random.default_rng(3).integers(60, 196, (20, 32, 3), dtype=np.uint8)
    source = tmp_path / "noise.png"
    Image.fromarray(noise).save(source)

    def resized(*, cubic: bool) -> Doubles:
        high, wide = enlarging(20, cubic=cubic), enlarging(32, cubic=cubic)
        return np.stack([high @ noise[:, :, channel] @ wide.T for channel in range(3)])

    given = seen(source, kind)
    # Pillow rounds after each of the two directions.
    np.testing.assert_allclose(given, resized(cubic=kind == "clip"), atol=2)
    assert not np.allclose(given, resized(cubic=kind != "clip"), atol=8)


def test_rows_columns_and_channels_stay_where_they_are(tmp_path: Path, seen: Embed) -> None:
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    pixels[:, :, 0] = np.arange(SIDE)[:, np.newaxis]
    pixels[:, :, 1] = np.arange(SIDE)[np.newaxis, :]
    pixels[:, :, 2] = 7
    source = tmp_path / "ramps.png"
    Image.fromarray(pixels).save(source)
    np.testing.assert_allclose(seen(source), pixels.transpose(2, 0, 1), atol=1e-2)


def test_a_photo_is_seen_upright(tmp_path: Path, seen: Embed) -> None:
    upright, turned = tmp_path / "upright.jpg", tmp_path / "turned.jpg"
    draw_photo(upright, size=(600, 400))
    draw_photo(turned, size=(600, 400), orientation=6)
    with Image.open(turned) as stored:
        assert stored.size == (400, 600)
    # JPEG loses other details of a picture that is stored turned.
    np.testing.assert_allclose(seen(upright), seen(turned), atol=40)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_shows_white(tmp_path: Path, seen: Embed, mode: str) -> None:
    picture = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    picture.paste((*GREY, 255), (30, 0, 60, 40))
    source = tmp_path / "drawing.png"
    picture.convert(mode).save(source)
    given = seen(source)
    np.testing.assert_allclose(given[:, :, :90], 255, atol=1)
    np.testing.assert_allclose(given[:, :, -90:], 90, atol=1)


def test_16_bits_are_scaled_not_cut_off(tmp_path: Path, seen: Embed) -> None:
    source = tmp_path / "scan.png"
    Image.fromarray(np.full((30, 40), 90 * 257, dtype=np.uint16)).save(source)
    np.testing.assert_allclose(seen(source), 90, atol=1)


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.heic", "a.webp", "a.gif", "a.tiff", "a.bmp", "a.avif", "cmyk.jpg"]
)
def test_any_format_is_seen_in_its_colours(tmp_path: Path, seen: Embed, name: str) -> None:
    pillow_heif.register_heif_opener()
    source = tmp_path / name
    picture = Image.new("CMYK" if name.startswith("cmyk") else "RGB", (64, 48))
    picture.paste(Image.new("RGB", picture.size, RED).convert(picture.mode))
    picture.save(source, exif=camera_exif())
    expected = np.array(RED).reshape(3, 1, 1)
    np.testing.assert_allclose(seen(source), np.broadcast_to(expected, (3, SIDE, SIDE)), atol=6)


def test_an_animation_is_its_first_frame(tmp_path: Path, seen: Embed) -> None:
    source = tmp_path / "blink.gif"
    frames = [Image.new("RGB", (40, 30), colour) for colour in (GREY, RED)]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(seen(source), 90, atol=1)


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000)])
def test_odd_sizes(tmp_path: Path, seen: Embed, size: tuple[int, int]) -> None:
    source = tmp_path / "strip.png"
    Image.new("RGB", size, GREY).save(source)
    np.testing.assert_allclose(seen(source), 90, atol=1)


def test_a_vector_is_scaled_to_unit_length_if_asked(tmp_path: Path, store: ModelStore, embed: Embed) -> None:
    save_clip_model(store.target("mobileclip"))
    source = tmp_path / "photo.jpg"
    draw_photo(source, size=(300, 200))
    raw, unit = embed(source), embed(source, normalize=True)
    length = math.sqrt(math.fsum(cast("list[float]", (raw.astype(np.float64) ** 2).tolist())))
    assert length != pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(unit, raw / length, rtol=1e-5)


def test_the_first_token_is_the_one_of_the_picture(tmp_path: Path, store: ModelStore, embed: Embed) -> None:
    save_dino_model(store.target("dinov2"))
    source = tmp_path / "halves.png"
    picture = Image.new("RGB", (SIDE, SIDE), RED)
    picture.paste(GREY, (0, 0, SIDE, SIDE // 2))
    picture.save(source)
    mean, std = CONSTANTS["dino"]
    token = ((np.array(RED) + GREY) / 2 / 255 - mean) / std
    np.testing.assert_allclose(embed(source, "dino"), token @ random_weights(3, 384), rtol=1e-3, atol=1e-4)


def test_zeros_have_no_direction_and_stay_zeros(tmp_path: Path, store: ModelStore, embed: Embed) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["colours"]),
        helper.make_node("Sub", ["colours", "colours"], ["output"]),
    ]
    save_model(store.target("mobileclip"), nodes)
    source = tmp_path / "photo.jpg"
    draw_photo(source, size=(30, 20))
    assert embed(source, normalize=True).tolist() == [0, 0, 0]


def test_a_process_loads_a_model_once(store: ModelStore) -> None:
    path = store.target("dinov2")
    save_dino_model(path)
    assert onnx_model.load(path) is onnx_model.load(path)


@pytest.mark.parametrize(("name", "message"), NO_PICTURES)
def test_what_is_no_picture_fails(tmp_path: Path, seen: Embed, name: str, message: str) -> None:
    source = tmp_path / name
    write_no_picture(source, corners_picture((400, 300)))
    with pytest.raises(TaskFailedError, match=message):
        seen(source)
    assert not list((tmp_path / "output").iterdir())


def unsuitable_model(path: Path, fault: str) -> None:
    flatten = helper.make_node("Flatten", ["pixel_values"], ["output"])
    if fault == "damaged":
        path.parent.mkdir()
        path.write_bytes(b"<html>Sign in to see this model</html>")
    elif fault == "another":
        save_model(path, [flatten], shape=(1, 112, 112, 3))
    elif fault == "two inputs":
        added = helper.make_node("Add", ["pixel_values", "mask"], ["output"])
        save_model(path, [added], inputs=("pixel_values", "mask"))
    elif fault == "a picture":
        save_model(path, [helper.make_node("Relu", ["pixel_values"], ["output"])])
    else:
        ones = helper.make_node("Sub", ["pixel_values", "pixel_values"], ["zeros"])
        divided = helper.make_node("Div", ["pixel_values", "zeros"], ["quotient"])
        save_model(path, [ones, divided, helper.make_node("Flatten", ["quotient"], ["output"])])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("damaged", r"not a valid ONNX model \(.*INVALID_PROTOBUF"),
        ("another", r"input is 1 x 112 x 112 x 3, but this task needs 1 x 3 x 224 x 224"),
        ("two inputs", r"a single float32 input; it has pixel_values: .*, mask: "),
        ("a picture", r"output has shape \(1, 3, 224, 224\), not one vector"),
        ("infinite", r"output has NaN or infinity"),
    ],
)
def test_a_model_that_does_not_suit_fails(
    tmp_path: Path, store: ModelStore, embed: Embed, fault: str, message: str
) -> None:
    path = store.target("dinov2")
    unsuitable_model(path, fault)
    source = tmp_path / "photo.jpg"
    draw_photo(source, size=(60, 40))
    with pytest.raises(TaskFailedError, match=rf"^{path.name}: .*{message}") as failure:
        embed(source, "dino")
    assert str(tmp_path) not in str(failure.value)
    assert not list((tmp_path / "output").iterdir())


def test_a_missing_model_fails(tmp_path: Path, embed: Embed) -> None:
    source = tmp_path / "photo.jpg"
    draw_photo(source, size=(60, 40))
    with pytest.raises(ModelUnavailableError, match=MODELS["mobileclip"].file_name):
        embed(source)


@pytest.fixture(scope="module", params=["A", "C"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server with a CLIP model in its models folder, and a DINO model named in its settings."""
    folder = tmp_path_factory.mktemp("models")
    save_clip_model(folder / MODELS["mobileclip"].file_name)
    save_dino_model(folder / "my_dino.onnx")
    generation = cast("Generation", request.param)
    models = {"dinov2": folder / "my_dino.onnx"}
    with LocalServer(generation=generation, workers=1, models_dir=folder, models=models) as running:
        yield running


EMBEDDINGS = [("clip_embedding", 512), ("dino_embedding", 384)]


def downloaded(caller: Caller, task: str, photo: Path, size: int, **fields: str) -> Floats:
    """The embedding of a photo, from the file that the server's generation has."""
    job = caller.ended(caller.submit(task, name=photo.name, content=photo.read_bytes(), **fields))
    assert job["status"] == "completed", job["error_message"]
    assert job["task_output"] == {"embedding_dim": size, "normalized": fields.get("normalize") != "false"}
    params = job["params"]
    assert isinstance(params, dict)
    path = str(params["output_path"])
    if path.endswith(".nb"):
        assert caller.http.get(f"/jobs/{job['job_id']}/files/{path}").status_code == 404
        path += ".npy"
    vector = load_vector(caller.http.get(f"/jobs/{job['job_id']}/files/{path}").content)
    assert vector.shape == (size,)
    return vector


@pytest.mark.parametrize(("task", "size"), EMBEDDINGS)
def test_photos_are_told_apart_and_their_size_does_not_matter(
    tmp_path: Path, server: LocalServer, caller: Caller, task: str, size: int
) -> None:
    assert task in server.task_types
    large, small, other = tmp_path / "large.jpg", tmp_path / "small.png", tmp_path / "other.png"
    draw_photo(large, size=(1600, 1200))
    with Image.open(large) as picture:
        picture.resize((400, 300)).save(small)
    draw_drawing(other)
    of_large, of_small, of_other = (downloaded(caller, task, photo, size) for photo in (large, small, other))
    assert float(of_large @ of_large) == pytest.approx(1, abs=1e-5)
    assert float(of_large @ of_small) > 0.999
    assert float(of_large @ of_other) < 0.9
    assert float(np.linalg.norm(downloaded(caller, task, large, size, normalize="false"))) > 1.5


def test_paths_are_those_of_the_generation(server: LocalServer, caller: Caller, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    draw_photo(photo, size=(60, 40))
    paths: list[object] = []
    for task, _ in EMBEDDINGS:
        job = caller.job(caller.submit(task, name=photo.name, content=photo.read_bytes()))
        params = job["params"]
        assert isinstance(params, dict)
        paths.append(params["output_path"])
    dino = "output/dino_embedding.nb" if server.settings.generation == "A" else "output/dino_embedding.npy"
    assert paths == ["output/clip_embedding.npy", dino]
