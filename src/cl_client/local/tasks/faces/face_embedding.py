"""Face embeddings: the identity of a face as a vector of 512 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.embeddings import onnx_model
from cl_client.local.tasks.embeddings.image_embedding import save_vector, unit_vector
from cl_client.local.tasks.faces import yunet_detector
from cl_client.local.tasks.faces.alignment import FACE_SIDE, cut_out
from cl_client.local.tasks.faces.picture import read_picture, rgb_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.local.tasks.faces.picture import RgbPixels
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

    An image of 112 x 112 pixels is treated as a crop from face_detection and used unchanged. Any other image
    is resized to 112 x 112 pixels as a whole, as CL Servers do, unless YuNet was installed: then the most
    confident face that it finds is aligned.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``normalized``, ``embedding_dim`` and ``quality_score``.

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
    return {"normalized": normalize, "embedding_dim": _DIMENSIONS, "quality_score": _quality_score(face)}


def _face(context: TaskContext[FaceEmbeddingParams]) -> RgbPixels:
    """Return the face, 112 x 112 pixels."""
    picture = read_picture(context.input_file, context.warn)
    context.report(20)
    if picture.size == (FACE_SIDE, FACE_SIDE):
        return picture.pixels
    detector = yunet_detector.installed_model(context.models)
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
    whole = Image.fromarray(picture.pixels)
    return rgb_pixels(whole.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.BILINEAR))


def _batch(face: RgbPixels) -> NDArray[np.float32]:
    """Make ArcFace's input: 1 x 112 x 112 x 3, red, green, blue, 0-1."""
    return face[np.newaxis].astype(np.float32) / np.float32(0xFF)


def _vector(output: NDArray[np.float32], model_name: str) -> NDArray[np.float32]:
    if output.size != _DIMENSIONS:
        raise TaskFailedError(
            f"{model_name}: the model's output has shape {output.shape}, not {_DIMENSIONS} numbers"
        )
    vector: NDArray[np.float32] = output.reshape(_DIMENSIONS)
    if not np.isfinite(vector).all():
        raise TaskFailedError(f"{model_name}: the model's output has NaN or infinity for this image")
    return vector


def _quality_score(face: RgbPixels) -> float:
    """Measure the sharpness of a face, 0-1: the variance of the 4-neighbour Laplacian of its grey values."""
    grey = np.pad(np.asarray(Image.fromarray(face).convert("L"), dtype=np.float64), 1, mode="reflect")
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return min(float(np.var(laplacian)) / _SHARP_VARIANCE, 1.0)
