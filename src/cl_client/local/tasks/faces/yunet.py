"""YuNet's network, https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet.

Input and output are as in OpenCV's ``FaceDetectorYN``, with the same results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import numpy as np

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.embeddings.onnx_model import OnnxModel
from cl_client.local.tasks.faces.picture import Box, DetectedFace, Landmarks, Point

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client.local.tasks.faces.picture import RgbPixels

_STRIDES: Final = (8, 16, 32)
"""Pixels between the places that look for small, medium and large faces."""
_OUTPUTS: Final = ("cls", "obj", "bbox", "kps")
_MAX_CANDIDATES: Final = 5000
"""The most confident ones, before overlapping ones are dropped; OpenCV's default."""
# The published file fixes its input at 640 x 640 pixels, although the network works at any size. In ONNX's
# format (protobuf), the size 640 takes as many bytes as a name of one letter, which means any size.
_FIXED_SIZE: Final = b"\x0a\x03\x08\x80\x05"
_ANY_SIZE: Final = (b"\x0a\x03\x12\x01h", b"\x0a\x03\x12\x01w")


class YuNet:
    """The network.

    Args:
        file: YuNet's ONNX file.

    Raises:
        TaskFailedError: The file is missing, damaged, or not a YuNet model.
    """

    def __init__(self, file: Path) -> None:
        self._name = file.name
        try:
            content = file.read_bytes()
        except OSError as exc:
            raise TaskFailedError(f"{file.name}: cannot be read: {exc.strerror}") from exc
        if content.count(_FIXED_SIZE) == len(_ANY_SIZE):
            for size in _ANY_SIZE:
                content = content.replace(_FIXED_SIZE, size, 1)
        self._model = OnnxModel(file, content)

    def detect(self, pixels: RgbPixels, confidence_threshold: float) -> list[DetectedFace]:
        """Find faces of about 10 to 300 pixels; a face may be found several times.

        Args:
            pixels: The image.
            confidence_threshold: 0-1; the confidence must be above it.

        Returns:
            The faces, the most confident first.

        Raises:
            TaskFailedError: The file is not a YuNet model.
        """
        height, width = pixels.shape[:2]
        largest = _STRIDES[-1]
        batch = np.zeros((1, 3, height + -height % largest, width + -width % largest), dtype=np.float32)
        batch[0, :, :height, :width] = pixels[:, :, ::-1].transpose(2, 0, 1)  # blue, green, red
        outputs = self._model.run_all(batch)
        if not outputs.keys() >= {f"{name}_{stride}" for name in _OUTPUTS for stride in _STRIDES}:
            raise TaskFailedError(f"{self._name}: this is not a YuNet model; its outputs are {[*outputs]}")
        columns = batch.shape[3]
        rows = np.concatenate(
            [_found(outputs, stride, columns // stride, confidence_threshold) for stride in _STRIDES]
        )
        best = np.argsort(-rows[:, 14], kind="stable")[:_MAX_CANDIDATES]
        return [_face(row) for row in cast("list[list[float]]", rows[best].tolist())]


def _found(
    outputs: Mapping[str, NDArray[np.float32]], stride: int, columns: int, threshold: float
) -> NDArray[np.float32]:
    """Read the outputs of one stride: 15 numbers for each face, see `_face`."""
    classes, objects, boxes, points = (outputs[f"{name}_{stride}"] for name in _OUTPUTS)
    scores: NDArray[np.float32] = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1)).reshape(-1)
    found = np.flatnonzero(scores > threshold)
    places = np.stack((found % columns, found // columns), axis=1).astype(np.float32)
    box = np.take(boxes, found, axis=1).reshape(-1, 4)
    centres = (places + box[:, :2]) * np.float32(stride)
    sizes = np.exp(box[:, 2:]) * np.float32(stride)
    corners = centres - sizes * np.float32(0.5)
    offsets = np.take(points, found, axis=1).reshape(-1, 5, 2)
    landmarks = ((offsets + places[:, np.newaxis]) * np.float32(stride)).reshape(-1, 10)
    return np.concatenate((corners, sizes, landmarks, scores[found].reshape(-1, 1)), axis=1, dtype=np.float32)


def _face(row: list[float]) -> DetectedFace:
    """Convert 15 numbers to a face: x, y, width and height of the box, five points, and the score."""
    points = [Point(x, y) for x, y in zip(row[4:14:2], row[5:14:2], strict=True)]
    return DetectedFace(Box(*row[:4]), row[14], Landmarks(*points))
