"""Face crops in the form that ArcFace was trained on: 112 x 112 pixels, eyes and mouth at fixed places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import numpy as np
from PIL import Image

from cl_client.local.tasks.faces.picture import Landmarks, Point, rgb_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cl_client.local.tasks.faces.picture import DetectedFace, RgbPixels

FACE_SIDE: Final = 112
"""Pixels, width and height of ArcFace's input."""

# `arcface_dst` in github.com/deepinsight/insightface, python-package/insightface/utils/face_align.py.
_REFERENCE_POINTS: Final = Landmarks(
    right_eye=Point(38.2946, 51.6963),
    left_eye=Point(73.5318, 51.5014),
    nose_tip=Point(56.0252, 71.7366),
    mouth_right=Point(41.5493, 92.3655),
    mouth_left=Point(70.7299, 92.2041),
)
_MAX_REDUCTION: Final = 32


def cut_out(pixels: RgbPixels, face: DetectedFace) -> RgbPixels:
    """Crop a face, aligned by its landmarks.

    Parts outside of the image are black.

    Args:
        pixels: The upright image.
        face: The face, in pixels of the image.

    Returns:
        The crop, shape ``(112, 112, 3)``.
    """
    return _warped(pixels, _landmark_transform(face.landmarks))


def _landmark_transform(landmarks: Landmarks) -> NDArray[np.float64]:
    """Find the similarity (rotation, scale, shift) that maps the points to ArcFace's, by least squares.

    Returns:
        Shape ``(2, 3)``, from the image's pixels to the crop's.
    """
    # The unknowns a, b, tx, ty of x' = a x - b y + tx and y' = b x + a y + ty.
    rows_of_x = [(point.x, -point.y, 1.0, 0.0) for point in landmarks]
    rows_of_y = [(point.y, point.x, 0.0, 1.0) for point in landmarks]
    wanted = [point.x for point in _REFERENCE_POINTS] + [point.y for point in _REFERENCE_POINTS]
    solution = np.linalg.lstsq(np.array(rows_of_x + rows_of_y), np.array(wanted))[0]
    a, b, shift_x, shift_y = cast("list[float]", solution.tolist())
    return np.array([(a, -b, shift_x), (b, a, shift_y)])


def _warped(pixels: RgbPixels, transform: NDArray[np.float64]) -> RgbPixels:
    """Make the crop; that of a large face is drawn larger first and then averaged, against aliasing."""
    scale = float(np.linalg.norm(transform[:, 0]))
    reduction = min(max(1, round(1 / max(scale, 1 / _MAX_REDUCTION))), _MAX_REDUCTION)
    # Coordinates are those of pixel centres, which shift with the scale.
    enlarged = transform * reduction
    enlarged[:, 2] += (reduction - 1) / 2
    side = FACE_SIDE * reduction
    crop = Image.fromarray(pixels).transform(
        (side, side), Image.Transform.AFFINE, _inverse(enlarged), Image.Resampling.BILINEAR
    )
    return rgb_pixels(crop.reduce(reduction))


def _inverse(transform: NDArray[np.float64]) -> list[float]:
    """Invert a transform, for Pillow: from the crop to the image, and the middle of a pixel at 0.5."""
    linear = np.linalg.inv(transform[:, :2])
    shift = 0.5 - linear @ (transform[:, 2] + 0.5)
    return np.column_stack((linear, shift)).reshape(-1).tolist()
