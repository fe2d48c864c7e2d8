"""Face embeddings: whose face it is, as a vector of 512 numbers."""

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
"""Both as face_detection has them unless told otherwise."""
_SHARP_VARIANCE: Final = 100.0
"""Of the grey picture's Laplacian, from which on CL Servers give a face the full quality score."""


def run(context: TaskContext[FaceEmbeddingParams]) -> JSONObject:
    """Embed the face with ArcFace and write the vector as ``.npy``, float32, shape ``(512,)``.

    A picture of 112 x 112 pixels is taken for a crop that face_detection made, and used as it is. On any
    other one the most confident face is aligned first, where YuNet's model is there and finds one; otherwise
    the whole picture is squeezed into 112 x 112 pixels, as CL Servers do it.

    Raises:
        TaskFailedError: It is not a picture, or ArcFace's model is not usable.
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
    """The face, 112 x 112 pixels."""
    picture = read_picture(context.input_file)
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
    whole = Image.fromarray(picture.pixels)  # in which order its colours stand is no matter to a resize
    return bgr_pixels(
        np.array(whole.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.BILINEAR), dtype=np.uint8)
    )


def _batch(face: BgrPixels) -> NDArray[np.float32]:
    """ArcFace's input: 1 x 112 x 112 x 3, red, green, blue, 0-1."""
    rgb = np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2RGB), dtype=np.float32)
    return rgb[np.newaxis] / np.float32(0xFF)


def _vector(output: NDArray[np.float32], model_name: str) -> NDArray[np.float32]:
    if output.size != _DIMENSIONS:
        raise TaskFailedError(
            f"{model_name}: the model gives numbers of shape {output.shape}, not {_DIMENSIONS} for a face"
        )
    vector: NDArray[np.float32] = output.reshape(_DIMENSIONS)
    if not np.isfinite(vector).all():
        raise TaskFailedError(f"{model_name}: the model gives NaN or infinity for this picture")
    return vector


def _quality_score(face: BgrPixels) -> float:
    """How sharp the face is, 0-1: the variance of the 4-neighbour Laplacian of its grey values."""
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_64F, ksize=1)  # at 1, OpenCV's kernel is the one of 4 neighbours
    return min(float(np.var(laplacian)) / _SHARP_VARIANCE, 1.0)
