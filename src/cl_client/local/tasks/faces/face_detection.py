"""Face detection: the faces in an image, and a crop of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image

from cl_client.local.tasks.faces import yunet_detector
from cl_client.local.tasks.faces.alignment import cut_out
from cl_client.local.tasks.faces.picture import Landmarks, read_picture
from cl_client.local.tasks.files import write_json, written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic import JsonValue

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.local.tasks.faces.picture import DetectedFace, Picture
    from cl_client.models import JSONObject
    from cl_client.plugins.face_detection import FaceDetectionParams

_ENGINE: Final = "yunet"
_CROPS_FOLDER: Final = "faces"
_READ, _DETECTED, _CUT_OUT = 10, 80, 95
"""Progress in percent at the end of each step."""


def run(context: TaskContext[FaceDetectionParams]) -> JSONObject:
    """Find the faces, the most confident first, and write a crop of each as a PNG of 112 x 112 pixels.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``faces``, ``num_faces``, ``image_width``, ``image_height`` and ``engine``.
        Coordinates are 0-1 of width and height.

    Raises:
        TaskFailedError: The file is not an image.
        ModelUnavailableError: YuNet's file is damaged, or the configured file was not found.
    """
    picture, faces = _detect(context)
    found: list[JsonValue] = []
    for index, face in enumerate(faces):
        path = f"{_CROPS_FOLDER}/face_{index}.png"
        _write_crop(picture, face, context.job_folder / path)
        found.append(
            {
                "bbox": _relative_box(face, picture),
                "confidence": face.confidence,
                "landmarks": _relative_landmarks(face, picture),
                "file_path": path,
            }
        )
        context.report(_DETECTED + (_CUT_OUT - _DETECTED) * (index + 1) // len(faces))
    return _finished(context, picture, found)


def run_for_generation_a(context: TaskContext[FaceDetectionParams]) -> JSONObject:
    """Find the faces as `run` does, without crops and with the box's corners directly in the face.

    Args:
        context: The job.

    Returns:
        The ``task_output`` of generation A.
    """
    picture, faces = _detect(context)
    flat: list[JsonValue] = [
        {**_relative_box(face, picture), "confidence": face.confidence} for face in faces
    ]
    return _finished(context, picture, flat)


def _detect(context: TaskContext[FaceDetectionParams]) -> tuple[Picture, Sequence[DetectedFace]]:
    params = context.params
    model = yunet_detector.model_file(context.models)
    picture = read_picture(context.input_file, context.warn)
    context.report(_READ)
    faces = yunet_detector.detect_faces(
        picture.pixels,
        model,
        confidence_threshold=params.confidence_threshold,
        nms_threshold=params.nms_threshold,
        report=lambda part: context.report(round(_READ + part * (_DETECTED - _READ))),
    )
    return picture, faces


def _finished(
    context: TaskContext[FaceDetectionParams], picture: Picture, faces: list[JsonValue]
) -> JSONObject:
    width, height = picture.size
    output: JSONObject = {
        "faces": faces,
        "num_faces": len(faces),
        "image_width": width,
        "image_height": height,
        "engine": _ENGINE,
    }
    write_json(context.output_file, output)
    return output


def _relative_box(face: DetectedFace, picture: Picture) -> dict[str, JsonValue]:
    """Return the box's corners as 0-1 of the image's width and height, clamped to the image."""
    height, width = picture.pixels.shape[:2]
    x, y, box_width, box_height = face.box
    return {
        "x1": _within_0_1(x / width),
        "y1": _within_0_1(y / height),
        "x2": _within_0_1((x + box_width) / width),
        "y2": _within_0_1((y + box_height) / height),
    }


def _within_0_1(part: float) -> float:
    return min(max(part, 0.0), 1.0)


def _relative_landmarks(face: DetectedFace, picture: Picture) -> JsonValue:
    height, width = picture.pixels.shape[:2]
    return {
        name: [point.x / width, point.y / height]
        for name, point in zip(Landmarks._fields, face.landmarks, strict=True)
    }


def _write_crop(picture: Picture, face: DetectedFace, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with written_whole(target) as partial:
        Image.fromarray(cut_out(picture.pixels, face)).save(partial, "PNG")
