"""Faces on pictures: found, in parts of the picture and in pixels, and cut out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest
from PIL import Image

from cl_client import ComputeClient, InvalidParameterError, InvalidResponseError, JSONObject
from cl_client.local.samples import write_astronaut
from cl_client.plugins.face_detection import BoundingBox, FaceDetectionOutput, FaceLandmarks, PixelBox
from plugin_checks import check_fields, check_refused
from written_files_task import script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import JsonValue

    from server_under_test import ServerUnderTest

BOX: JSONObject = {"x1": 0.1, "y1": 0.25, "x2": 0.5, "y2": 0.75}
LANDMARKS: JSONObject = {
    "right_eye": [0.2, 0.4],
    "left_eye": [0.4, 0.4],
    "nose_tip": [0.3, 0.5],
    "mouth_right": [0.25, 0.6],
    "mouth_left": [0.35, 1.1],
}


def test_a_face_of_the_oldest_servers_keeps_what_it_does_not_know() -> None:
    output = FaceDetectionOutput.model_validate(
        {
            "faces": [{**BOX, "confidence": 0.9, "new": 1}],
            "num_faces": 1,
            "image_width": 200,
            "image_height": 100,
        }
    )
    [face] = output.faces
    assert (face.bbox.x2, face.confidence, face.landmarks, face.model_extra) == (0.5, 0.9, None, {"new": 1})
    assert output.pixel_boxes == (PixelBox(left=20, top=25, right=100, bottom=75),)
    assert output.engine is None


def test_a_face_of_newer_servers() -> None:
    output = FaceDetectionOutput.model_validate(
        {
            "faces": [
                {"bbox": BOX, "confidence": 0.9, "landmarks": LANDMARKS, "file_path": "faces/face_0.png"}
            ],
            "num_faces": 1,
            "image_width": 200,
            "image_height": 100,
            "engine": "yunet",
        }
    )
    [face] = output.faces
    assert face.landmarks is not None
    points = face.landmarks.in_pixels(*output.image_size)
    assert (points.right_eye, points.mouth_left) == ((40, 40), pytest.approx((70, 110)))
    assert (output.engine, face.file_path) == ("yunet", "faces/face_0.png")


def test_boxes_are_cut_off_at_the_edge() -> None:
    box = BoundingBox(x1=-0.1, y1=0.004, x2=1.2, y2=0.996)
    assert box.pixel_box(100, 100) == (0, 0, 100, 100)


def test_without_the_pictures_size_there_are_no_pixels() -> None:
    output = FaceDetectionOutput.model_validate({"faces": [{**BOX, "confidence": 1}], "image_width": 3})
    with pytest.raises(InvalidResponseError, match="image_width and image_height"):
        _ = output.pixel_boxes


def test_numbers_that_are_none() -> None:
    with pytest.raises(ValueError, match="finite"):
        FaceLandmarks.model_validate({**LANDMARKS, "nose_tip": [float("nan"), 0]})


@pytest.fixture
def astronaut(tmp_path: Path) -> Path:
    """A photo of one person."""
    path = tmp_path / "astronaut.jpg"
    write_astronaut(path)
    return path


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path, tmp_path: Path) -> None:
    job = await live_client.face_detection.detect(photo, wait=True)
    assert job.output.image_size == (640, 480)
    assert len(job.output.pixel_boxes) == job.output.num_faces
    crops = await live_client.face_detection.download_crops(job, tmp_path / "crops")
    assert len(crops) == job.output.num_faces


async def test_a_face_is_found_and_cut_out(
    live_client: ComputeClient, server_under_test: ServerUnderTest, astronaut: Path, tmp_path: Path
) -> None:
    job = await live_client.face_detection.detect(astronaut, wait=True)
    assert (job.output.num_faces, job.output.image_size) == (1, (512, 512))
    ((box,), (face,)) = job.output.pixel_boxes, job.output.faces
    assert box == pytest.approx((178, 63, 268, 176), abs=25)
    assert 0.7 < face.confidence <= 1
    (crop,) = await live_client.face_detection.download_crops(job, tmp_path / "crops")
    assert (crop is not None) is server_under_test.cuts_out_faces
    if crop is not None:
        with Image.open(crop) as picture:
            assert picture.format == "PNG"
    (sent,) = cast("list[JSONObject]", (job.task_output or {})["faces"])
    assert ("bbox" in sent) is server_under_test.cuts_out_faces
    assert ("x1" in sent) is not server_under_test.cuts_out_faces


async def test_its_file_says_where_the_faces_are(live_client: ComputeClient, astronaut: Path) -> None:
    job = await live_client.face_detection.detect(astronaut, wait=True)
    assert live_client.face_detection.output_path(job) == "output/face_detection.json"
    (first, *crops) = await live_client.face_detection.output_files(job)
    assert (first, crops) == (
        "output/face_detection.json",
        [face.file_path for face in job.output.faces if face.file_path],
    )
    said = FaceDetectionOutput.model_validate(json.loads(await live_client.face_detection.read(job)))
    assert [face.bbox for face in said.faces] == [face.bbox for face in job.output.faces]


@pytest.mark.parametrize(("confidence_threshold", "found"), [(0, True), (1, False)])
async def test_how_sure_the_detector_must_be(
    live_client: ComputeClient,
    astronaut: Path,
    confidence_threshold: float,
    found: bool,  # noqa: FBT001 - a parametrised case
) -> None:
    job = await live_client.face_detection.detect(
        astronaut, confidence_threshold=confidence_threshold, wait=True
    )
    assert (job.output.faces != ()) is found


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"confidence_threshold": "0.7", "nms_threshold": "0.4"}),
        (
            {"confidence_threshold": 0, "nms_threshold": 1},
            {"confidence_threshold": "0.0", "nms_threshold": "1.0"},
        ),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "face_detection", values, fields)


@pytest.mark.parametrize(
    "values",
    [
        {"confidence_threshold": -0.01},
        {"confidence_threshold": 1.01},
        {"confidence_threshold": float("nan")},
        {"nms_threshold": -0.01},
        {"nms_threshold": 1.01},
    ],
)
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    check_refused(silent_client, "face_detection", values, *values)


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    detect = silent_client.face_detection.detect
    with pytest.raises(InvalidParameterError, match=r"confidence_threshold=1\.5: .*nms_threshold=-1"):
        await detect(b"x", confidence_threshold=1.5, nms_threshold=-1)
    with pytest.raises(InvalidParameterError, match="empty"):
        await detect(b"")
    with pytest.raises(InvalidParameterError, match=r"missing\.jpg"):
        await detect(tmp_path / "missing.jpg")


async def test_crops_are_downloaded(
    writing_client: ComputeClient, tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    box: JSONObject = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4}
    faces: list[JsonValue] = [
        {"bbox": box, "confidence": 0.9, "file_path": "faces/face_0.png"},
        {"bbox": box, "confidence": 0.8},
        {"bbox": box, "confidence": 0.7, "file_path": "{job_folder}/faces/face_2.png"},
    ]
    content = script(
        {"faces/face_0.png": b"zero", "faces/face_2.png": b"two"}, {"faces": faces, "engine": "yunet"}
    )
    job = await writing_client.face_detection.detect(content, wait=True)
    crops = await writing_client.face_detection.download_crops(job, tmp_path / "crops")
    assert crops == [tmp_path / "crops" / "face_0.png", None, tmp_path / "crops" / "face_2.png"]
    assert [crop.read_bytes() for crop in crops if crop is not None] == [b"zero", b"two"]
    assert names_below(tmp_path) == {"crops", "crops/face_0.png", "crops/face_2.png"}
    assert job.output.engine == "yunet"


async def test_servers_that_cut_out_no_faces(writing_client: ComputeClient, tmp_path: Path) -> None:
    face: JSONObject = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4, "confidence": 0.9}
    job = await writing_client.face_detection.detect(script(output={"faces": [face]}), wait=True)
    assert await writing_client.face_detection.download_crops(job, tmp_path) == [None]


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "/etc/passwd", "faces/../../x", "C:\\x", "faces/nul"]
)
async def test_a_hostile_crop(
    writing_client: ComputeClient, tmp_path: Path, path: str, names_below: Callable[[Path], set[str]]
) -> None:
    box: JSONObject = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4}
    faces: list[JsonValue] = [{"bbox": box, "confidence": 0.9, "file_path": path}]
    job = await writing_client.face_detection.detect(script(output={"faces": faces}), wait=True)
    with pytest.raises(InvalidResponseError, match="is not a path below a job"):
        await writing_client.face_detection.download_crops(job, tmp_path)
    assert names_below(tmp_path) == set()
