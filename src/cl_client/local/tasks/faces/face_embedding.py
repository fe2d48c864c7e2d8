"""Face embeddings: the identity of a face as a vector of 512 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from PIL import Image

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.embeddings import onnx_model
from cl_client.local.tasks.embeddings.image_embedding import save_vector, unit_vector
from cl_client.local.tasks.faces import yunet_detector
from cl_client.local.tasks.faces.alignment import FACE_SIDE, cut_out
from cl_client.local.tasks.faces.picture import bgr_pixels, read_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.local.tasks.faces.picture import BgrPixels
    from cl_client.models import JSONObject
    from cl_client.plugins.face_embedding import FaceEmbeddingParams

_DIMENSIONS: Final = 512
_CONFIDENCE_THRESHOLD: Final = 0.7
_NMS_THRESHOLD: Final = 0.4
"""Both are the defaults of face_detection."""
_SHARP_VARIANCE: Final = 100.0
"""Variance of the grey image's Laplacian at which CL Servers give a face the full quality score."""


def run(context: TaskContext[FaceEmbeddingParams]) -> JSONObject:
    """Embed the face with ArcFace and write the vector as ``.npy``, float32, shape ``(512,)``.

    An image of 112 x 112 pixels is treated as a crop from face_detection and used unchanged. In any other
    image the most confident face is aligned first, if YuNet's model is present and finds one; otherwise the
    whole image is resized to 112 x 112 pixels, as CL Servers do.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``embedding_dim``, ``normalized`` and ``quality_score``.

    Raises:
        TaskFailedError: The file is not an image, or ArcFace's model is invalid.
        ModelUnavailableError: The model is missing or damaged.
    """
    path = context.models.require("arcface")
    face = _face(context)
    context.report(60)
    vector = _vector(onnx_model.load(path).run(_batch(face)), path.name)
    normalize = context.params.normalize
    save_vector(unit_vector(vector) if normalize else vector, context.output_file)
    return {"embedding_dim": _DIMENSIONS, "normalized": normalize, "quality_score": _quality_score(face)}


def _face(context: TaskContext[FaceEmbeddingParams]) -> BgrPixels:
    """Return the face, 112 x 112 pixels."""
    picture = read_picture(context.input_file, context.warn)
    context.report(20)
    if picture.size == (FACE_SIDE, FACE_SIDE):
        return picture.pixels
    detector = yunet_detector.model_file(context.models)
    if detector is not None:
        faces = yunet_detector.detect_faces(
            picture.pixels,
            detector,
            confidence_threshold=_CONFIDENCE_THRESHOLD,
            nms_threshold=_NMS_THRESHOLD,
            report=lambda part: context.report(round(20 + 35 * part)),
        )
        if faces:
            return cut_out(picture.pixels, faces[0])
    whole = Image.fromarray(picture.pixels)  # the order of the colours does not matter for a resize
    return bgr_pixels(
        np.array(whole.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.BILINEAR), dtype=np.uint8)
    )


def _batch(face: BgrPixels) -> NDArray[np.float32]:
    """Make ArcFace's input: 1 x 112 x 112 x 3, red, green, blue, 0-1."""
    rgb = np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2RGB), dtype=np.float32)
    return rgb[np.newaxis] / np.float32(0xFF)


def _vector(output: NDArray[np.float32], model_name: str) -> NDArray[np.float32]:
    if output.size != _DIMENSIONS:
        raise TaskFailedError(
            f"{model_name}: the model's output has shape {output.shape}, not {_DIMENSIONS} numbers"
        )
    vector: NDArray[np.float32] = output.reshape(_DIMENSIONS)
    if not np.isfinite(vector).all():
        raise TaskFailedError(f"{model_name}: the model's output has NaN or infinity for this image")
    return vector


def _quality_score(face: BgrPixels) -> float:
    """Measure the sharpness of a face, 0-1: the variance of the 4-neighbour Laplacian of its grey values."""
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_64F, ksize=1)  # at 1, OpenCV uses the kernel of 4 neighbours
    return min(float(np.var(laplacian)) / _SHARP_VARIANCE, 1.0)
