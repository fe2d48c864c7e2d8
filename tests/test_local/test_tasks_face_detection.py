"""Face detection on the photo of an astronaut and on photos without a face."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFilter, ImageStat
from skimage import data

from cl_client.compute_client import ComputeClient
from cl_client.config import ComputeClientConfig
from cl_client.local import LocalServer
from cl_client.local.models.catalog import INCLUDED, MODELS
from cl_client.local.models.store import ModelStore, ModelUnavailableError
from cl_client.local.samples import camera_exif, draw_photo
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.faces import face_detection
from cl_client.local.tasks.faces.alignment import cut_out
from cl_client.local.tasks.faces.picture import Box, DetectedFace, Landmarks, Point, read_picture
from cl_client.plugins.face_detection import FaceDetectionOutput, FaceDetectionParams
from patience import SECONDS
from pictures import NO_PICTURES, STORED_AS, write_no_picture
from support import yunet_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client.local.generations import Generation
    from cl_client.local.samples import Orientation
    from cl_client.models import JSONObject
    from cl_client.plugins.face_detection import Face

Floats = NDArray[np.float64]

MODELS_USED = ["configured", "included"]
ENDINGS = ["png", "jpg", "webp", "heic", "tiff", "bmp", "gif"]
REFERENCE_POINTS = [(38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2)]
"""Eyes, nose tip and corners of the mouth as the authors of ArcFace have them, of 112 x 112 pixels."""


class PixelBox(NamedTuple):
    """Left, top, width and height in pixels."""

    x: float
    y: float
    width: float
    height: float


ASTRONAUT_FACE = PixelBox(178, 63, 90, 113)
"""Where YuNet sees it on the picture of 512 x 512 pixels, with a confidence of 0.93."""


def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


def pixel_box(face: Face, size: tuple[int, int]) -> PixelBox:
    box = face.bbox
    x, y = box.x1 * size[0], box.y1 * size[1]
    return PixelBox(x, y, box.x2 * size[0] - x, box.y2 * size[1] - y)


def overlap(one: PixelBox, other: PixelBox) -> float:
    """The intersection over union."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0) * max(height, 0)
    return shared / (one.width * one.height + other.width * other.height - shared)


class Detect(Protocol):
    def __call__(self, source: Path, model: str, **params: float) -> FaceDetectionOutput: ...


def context_of(
    source: Path, folder: Path, models: ModelStore, report: Callable[[int], None], **params: float
) -> TaskContext[FaceDetectionParams]:
    output = folder / "output" / "face_detection.json"
    output.parent.mkdir(exist_ok=True)
    wanted = FaceDetectionParams.model_validate(params)
    return TaskContext(wanted, source, output, folder, report, models)


@pytest.fixture
def models_for(tmp_path: Path) -> Callable[[str], ModelStore]:
    """Finds YuNet where the tests have it, or nothing, so that the one of the package is used."""

    def models(model: str) -> ModelStore:
        overrides = {"yunet": yunet_model()} if model == "configured" else {}
        return ModelStore(tmp_path / "models", overrides)

    return models


@pytest.fixture
def detect(tmp_path: Path, models_for: Callable[[str], ModelStore]) -> Detect:
    """Runs the task, and checks what holds for every picture."""

    def run(source: Path, model: str, **params: float) -> FaceDetectionOutput:
        progress: list[int] = []
        context = context_of(source, tmp_path, models_for(model), progress.append, **params)
        told = face_detection.run(context)
        assert json.loads(context.output_file.read_bytes()) == told
        assert progress == sorted(progress)
        output = FaceDetectionOutput.model_validate(told)
        assert output.engine == "yunet"
        assert output.num_faces == len(output.faces)
        confidences = [face.confidence for face in output.faces]
        assert confidences == sorted(confidences, reverse=True)
        for index, face in enumerate(output.faces):
            assert face.file_path == f"faces/face_{index}.png"
            box = face.bbox
            assert 0 <= box.x1 < box.x2 <= 1
            assert 0 <= box.y1 < box.y2 <= 1
        return output

    return run


@pytest.mark.parametrize("model", MODELS_USED)
def test_yunet_finds_the_astronauts_face(tmp_path: Path, detect: Detect, model: str) -> None:
    source = tmp_path / "astronaut.png"
    astronaut().save(source)
    output = detect(source, model)
    assert (output.image_width, output.image_height) == (512, 512)
    (face,) = output.faces
    assert face.confidence == pytest.approx(0.93, abs=0.02)
    assert pixel_box(face, (512, 512)) == pytest.approx(ASTRONAUT_FACE, abs=3)
    points = face.landmarks
    assert points is not None
    assert face.bbox.x1 < points.right_eye[0] < points.nose_tip[0] < points.left_eye[0] < face.bbox.x2
    assert points.right_eye[1] < points.nose_tip[1] < points.mouth_right[1] < face.bbox.y2
    assert points.mouth_right[0] < points.nose_tip[0] < points.mouth_left[0]


def test_the_included_model_is_the_published_one() -> None:
    published = MODELS["yunet"]
    content = published.path_in(INCLUDED).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (published.size, published.sha256)


@pytest.mark.parametrize("model", MODELS_USED)
@pytest.mark.parametrize("draw", [data.chelsea, data.coffee, data.rocket])
def test_no_face_is_found_where_there_is_none(
    tmp_path: Path, detect: Detect, model: str, draw: Callable[[], NDArray[np.uint8]]
) -> None:
    source = tmp_path / "photo.png"
    Image.fromarray(draw()).save(source)
    assert detect(source, model).faces == ()
    assert not (tmp_path / "faces").exists()


@pytest.mark.parametrize("model", MODELS_USED)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format(tmp_path: Path, detect: Detect, model: str, ending: str) -> None:
    draw_photo(tmp_path / "any.heic", size=(8, 8))  # makes Pillow know HEIC
    source = tmp_path / f"photo.{ending}"
    astronaut().save(source)
    (face,) = detect(source, model).faces
    assert overlap(pixel_box(face, (512, 512)), ASTRONAUT_FACE) > 0.6


def transparent() -> Image.Image:
    """Nothing is to be seen of the right half."""
    picture = astronaut().convert("RGBA")
    picture.paste((0, 0, 0, 0), (300, 0, 512, 512))
    return picture


def sixteen_bits() -> Image.Image:
    grey = np.asarray(astronaut().convert("L"), dtype=np.uint16)
    return Image.fromarray((grey * 257).astype(np.uint16))


@pytest.mark.parametrize("model", MODELS_USED)
@pytest.mark.parametrize(
    "draw",
    [transparent, sixteen_bits, lambda: astronaut().convert("L"), lambda: astronaut().convert("P")],
    ids=["alpha", "16 bits", "grey", "palette"],
)
def test_every_kind_of_png(
    tmp_path: Path, detect: Detect, model: str, draw: Callable[[], Image.Image]
) -> None:
    source = tmp_path / "photo.png"
    draw().save(source)
    (face,) = detect(source, model).faces
    assert overlap(pixel_box(face, (512, 512)), ASTRONAUT_FACE) > 0.6


@pytest.mark.parametrize("model", MODELS_USED)
def test_an_animations_first_frame_counts(tmp_path: Path, detect: Detect, model: str) -> None:
    source = tmp_path / "film.gif"
    frames = [astronaut(), Image.new("RGB", (512, 512), "black")]
    for order, count in ((frames, 1), (frames[::-1], 0)):
        order[0].save(source, save_all=True, append_images=order[1:], duration=100)
        assert detect(source, model).num_faces == count


@pytest.mark.parametrize("model", MODELS_USED)
@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_boxes_are_those_of_the_upright_picture(
    tmp_path: Path, detect: Detect, model: str, orientation: Orientation
) -> None:
    source = tmp_path / "photo.jpg"
    upright = astronaut().crop((0, 0, 400, 512))
    upright.transpose(STORED_AS[orientation]).save(source, exif=camera_exif(orientation), quality=95)
    output = detect(source, model)
    assert (output.image_width, output.image_height) == (400, 512)
    (face,) = output.faces
    assert overlap(pixel_box(face, (400, 512)), ASTRONAUT_FACE) > 0.6


@pytest.mark.parametrize("model", MODELS_USED)
def test_crops_show_the_face(tmp_path: Path, detect: Detect, model: str) -> None:
    source = tmp_path / "astronaut.png"
    astronaut().save(source)
    detect(source, model)
    with Image.open(tmp_path / "faces" / "face_0.png") as crop:
        assert crop.format == "PNG"
        assert crop.mode == "RGB"
        assert crop.size == (112, 112)
        red, green, blue = ImageStat.Stat(crop.crop((46, 60, 66, 80))).mean
    assert red > 180
    assert red > green > blue


def test_a_tilted_face_is_cut_out_upright(tmp_path: Path, detect: Detect) -> None:
    source = tmp_path / "photo.png"
    crops: list[Floats] = []
    for degrees in (0, -25, 25):
        picture = astronaut().rotate(degrees, Image.Resampling.BICUBIC, center=(223, 119))
        picture.resize((1024, 1024), Image.Resampling.BICUBIC).save(source)
        assert detect(source, "included").num_faces == 1
        with Image.open(tmp_path / "faces" / "face_0.png") as crop:
            inside = crop.convert("L").filter(ImageFilter.GaussianBlur(2)).crop((28, 30, 84, 100))
            crops.append(np.asarray(inside, dtype=np.float64).reshape(1, -1))
    likeness = np.corrcoef(np.concatenate(crops))
    assert likeness.min() > 0.75, likeness


@pytest.mark.parametrize("scale", [0.4, 1, 7])
@pytest.mark.parametrize("degrees", [0, 20, -130])
def test_landmarks_come_to_stand_on_the_reference_points(scale: float, degrees: float) -> None:
    cosine, sine = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    centre = 70 * scale
    points = [
        Point(centre + cosine * (x - 56) - sine * (y - 56), centre + sine * (x - 56) + cosine * (y - 56))
        for x, y in REFERENCE_POINTS
    ]
    axis = np.arange(2 * centre)
    picture = np.zeros((len(axis), len(axis)))
    for point in points:  # a soft dot
        columns, rows = (np.exp(-(((axis - at) / (3 * scale)) ** 2)) for at in point)
        picture += np.outer(rows, columns)
    grey = (picture * 0xFF).astype(np.uint8)
    crop = cut_out(np.stack((grey, grey, grey), axis=2), DetectedFace(Box(0, 0, 1, 1), 1, Landmarks(*points)))
    weights = crop[:, :, 0].astype(np.float64)
    across = np.tile(np.arange(17), (17, 1))
    for x, y in REFERENCE_POINTS:
        left, top = round(x) - 8, round(y) - 8
        dot = weights[top : top + 17, left : left + 17]
        assert left + float(np.average(across, weights=dot)) == pytest.approx(x, abs=0.2)
        assert top + float(np.average(across.T, weights=dot)) == pytest.approx(y, abs=0.2)


def test_what_a_crop_shows_beyond_the_picture_is_black() -> None:
    landmarks = Landmarks(*(Point(x - 40, y) for x, y in REFERENCE_POINTS))
    crop = cut_out(np.full((112, 200, 3), 0xFF, np.uint8), DetectedFace(Box(0, 0, 1, 1), 1, landmarks))
    assert not crop[:, :39].any()
    assert crop[1:-1, 41:].tobytes().strip(b"\xff") == b""


@pytest.mark.parametrize("model", MODELS_USED)
def test_the_confidence_threshold(tmp_path: Path, detect: Detect, model: str) -> None:
    source = tmp_path / "astronaut.png"
    astronaut().save(source)
    (face,) = detect(source, model).faces
    just_above, just_below = face.confidence + 0.001, face.confidence - 0.001
    assert detect(source, model, confidence_threshold=just_above).faces == ()
    assert detect(source, model, confidence_threshold=just_below).faces == (face,)
    assert detect(source, model, confidence_threshold=1).faces == ()
    anything = detect(source, model, confidence_threshold=0)
    assert len(anything.faces) > 5
    assert anything.faces[0] == face


@pytest.mark.parametrize("model", MODELS_USED)
def test_the_overlap_threshold(tmp_path: Path, detect: Detect, model: str) -> None:
    source = tmp_path / "astronaut.png"
    astronaut().save(source)
    counts = [len(detect(source, model, nms_threshold=threshold).faces) for threshold in (0, 0.4, 1)]
    assert counts[:2] == [1, 1]
    assert counts[2] > 3


def test_faces_on_a_large_picture_are_each_found_once(tmp_path: Path, detect: Detect) -> None:
    columns, rows = 6, 3
    source = tmp_path / "crowd.png"
    Image.fromarray(np.tile(data.astronaut(), (rows, columns, 1))).save(source, compress_level=1)
    output = detect(source, "included")
    size = columns * 512, rows * 512
    assert (output.image_width, output.image_height) == size
    expected = [
        ASTRONAUT_FACE._replace(x=ASTRONAUT_FACE.x + column * 512, y=ASTRONAUT_FACE.y + row * 512)
        for column in range(columns)
        for row in range(rows)
    ]
    boxes = [pixel_box(face, size) for face in output.faces]
    assert len(boxes) == len(expected)
    for place in expected:
        assert max(overlap(place, box) for box in boxes) > 0.8


@pytest.mark.parametrize("model", MODELS_USED)
def test_a_large_face_is_found(tmp_path: Path, detect: Detect, model: str) -> None:
    source = tmp_path / "large.jpg"
    astronaut().crop((80, 0, 380, 300)).resize((3600, 3600), Image.Resampling.BICUBIC).save(source)
    face = detect(source, model).faces[0]
    expected = PixelBox((178 - 80) * 12, 63 * 12, 90 * 12, 113 * 12)
    assert overlap(pixel_box(face, (3600, 3600)), expected) > 0.6


def test_progress_follows_the_parts_of_a_large_picture(
    tmp_path: Path, models_for: Callable[[str], ModelStore]
) -> None:
    source = tmp_path / "large.jpg"
    Image.new("RGB", (4000, 3000), "grey").save(source)
    progress: list[int] = []
    face_detection.run(context_of(source, tmp_path, models_for("configured"), progress.append))
    assert len(set(progress)) >= 12
    assert max(progress) <= 95


def test_a_picture_beyond_the_limit_is_reduced_and_keeps_its_size(tmp_path: Path, detect: Detect) -> None:
    source = tmp_path / "huge.jpg"
    picture = Image.new("RGB", (6000, 5000), "grey")
    picture.paste(astronaut(), (5400, 4400))
    picture.save(source, quality=90)
    assert read_picture(source, pytest.fail).pixels.size < 76_000_000
    output = detect(source, "included")
    assert (output.image_width, output.image_height) == (6000, 5000)
    (face,) = output.faces
    expected = ASTRONAUT_FACE._replace(x=5400 + ASTRONAUT_FACE.x, y=4400 + ASTRONAUT_FACE.y)
    assert overlap(pixel_box(face, (6000, 5000)), expected) > 0.8


@pytest.mark.parametrize("model", MODELS_USED)
@pytest.mark.parametrize("size", [(1, 1), (23, 24), (5000, 2), (2, 5000)])
def test_odd_sizes(tmp_path: Path, detect: Detect, model: str, size: tuple[int, int]) -> None:
    source = tmp_path / "strip.png"
    Image.new("RGB", size, "grey").save(source)
    output = detect(source, model)
    assert (output.image_width, output.image_height, output.faces) == (*size, ())


@pytest.mark.parametrize("model", MODELS_USED)
@pytest.mark.parametrize(("name", "message"), NO_PICTURES)
def test_what_is_no_picture_fails(
    tmp_path: Path, detect: Detect, model: str, name: str, message: str
) -> None:
    source = tmp_path / name
    write_no_picture(source, astronaut())
    with pytest.raises(TaskFailedError, match=message):
        detect(source, model)
    assert not list((tmp_path / "output").iterdir())


def test_a_damaged_model_fails_rather_than_that_the_included_one_steps_in(tmp_path: Path) -> None:
    source = tmp_path / "astronaut.png"
    astronaut().save(source)
    model = tmp_path / "my_yunet.onnx"
    for content in (b"<html>Sign in to see this model</html>", b""):
        model.write_bytes(content)
        context = context_of(source, tmp_path, ModelStore(tmp_path, {"yunet": model}), print)
        with pytest.raises(TaskFailedError, match=r"^my_yunet\.onnx: not a valid ONNX model"):
            face_detection.run(context)


def test_a_configured_model_that_is_not_there_fails(tmp_path: Path) -> None:
    source = tmp_path / "astronaut.png"
    astronaut().save(source)
    context = context_of(source, tmp_path, ModelStore(tmp_path, {"yunet": tmp_path / "gone.onnx"}), print)
    with pytest.raises(ModelUnavailableError, match=r"yunet was not found: .*gone\.onnx"):
        face_detection.run(context)


def test_generation_a_has_flat_faces_and_no_crops(tmp_path: Path) -> None:
    source = tmp_path / "astronaut.png"
    astronaut().save(source)
    context = context_of(source, tmp_path, ModelStore(tmp_path / "models"), print)
    told = face_detection.run_for_generation_a(context)
    faces = cast("list[JSONObject]", told["faces"])
    assert [set(face) for face in faces] == [{"x1", "y1", "x2", "y2", "confidence"}]
    assert json.loads(context.output_file.read_bytes()) == told
    assert not (tmp_path / "faces").exists()
    (face,) = FaceDetectionOutput.model_validate(told).faces
    assert overlap(pixel_box(face, (512, 512)), ASTRONAUT_FACE) > 0.6


@pytest.mark.parametrize("generation", ["A", "C"])
@pytest.mark.parametrize("model", MODELS_USED)
async def test_through_server_and_client(
    tmp_path: Path, models_for: Callable[[str], ModelStore], generation: Generation, model: str
) -> None:
    source = tmp_path / "photo of an astronaut.jpg"
    astronaut().transpose(Image.Transpose.ROTATE_90).save(source, exif=camera_exif(6), quality=95)
    models = models_for(model)
    with LocalServer(
        generation=generation, workers=1, models_dir=models.folder, models=models.overrides
    ) as server:
        assert "face_detection" in server.task_types
        config = ComputeClientConfig.create(base_url=server.base_url, mqtt_broker=server.mqtt_url)
        async with ComputeClient(config=config) as client:
            job = await client.face_detection.detect(
                source, confidence_threshold=0.75, wait=True, timeout=SECONDS
            )
            job.raise_for_status()
            assert job.output is not None
            assert (job.output.engine, job.output.num_faces) == ("yunet", 1)
            (face,) = job.output.faces
            assert overlap(pixel_box(face, (512, 512)), ASTRONAUT_FACE) > 0.6
            saved = tmp_path / "result.json"
            await client.download_job_file(job.job_id, "output/face_detection.json", saved)
            assert json.loads(saved.read_bytes()) == job.task_output
            if generation == "A":
                assert (face.file_path, face.landmarks) == (None, None)
            else:
                assert face.file_path == "faces/face_0.png"
                await client.download_job_file(job.job_id, face.file_path, tmp_path / "crop.png")
                with Image.open(tmp_path / "crop.png") as crop:
                    assert crop.size == (112, 112)
                    assert ExifTags.Base.Orientation not in crop.getexif()
