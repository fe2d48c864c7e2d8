"""Faces in parts of the picture and in pixels."""

from __future__ import annotations

import pytest

from cl_client import InvalidResponseError, JSONObject
from cl_client.plugins.face_detection import BoundingBox, FaceDetectionOutput, FaceLandmarks, PixelBox

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
