"""Face detection without a download: scikit-image's LBP cascade, whose data is in its wheel."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from cl_client.local.tasks.faces.picture import Box, DetectedFace, without_overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cl_client.local.tasks.faces.picture import BgrPixels

_MAX_SIDE: Final = 640
"""Pixels of the reduced copy that is searched, in about a second; faces below 1/27 of it are not found."""
_WINDOW_SIDE: Final = 24
"""Pixels of the smallest window: the size of the images that the cascade was trained on."""
_SCALE_FACTOR: Final = 1.1
_STEP_RATIO: Final = 1.25
_SAME_FACE_OVERLAP: Final = 0.5
"""Windows whose intersection over union is this or more agree on a face."""
# A face is found in many windows, anything else in one or a few. Measured on the 100 faces and 100 other
# images of skimage.data.lfw_subset(), at four times their size: 89 faces have 8 or more windows that agree,
# the other images have at most 2; textures and the like on photos reach 7. So the confidence is scaled such
# that 8 windows exceed 0.7, the default threshold of clients.
_HALF_CONFIDENCE_WINDOWS: Final = 3


def detect_faces(
    pixels: BgrPixels, *, confidence_threshold: float, nms_threshold: float
) -> list[DetectedFace]:
    """Find upright faces that look at the camera, without landmarks.

    A cascade only answers yes or no. The confidence is ``n / (n + 3)``, where ``n`` windows of different
    position and size agree on a face. It orders the faces of an image, but is not a probability and cannot
    be compared with YuNet's.

    Args:
        pixels: The upright image.
        confidence_threshold: 0-1; the confidence must be above it. At 0.7 more than 7 windows must agree.
        nms_threshold: 0-1; of two boxes with a higher intersection over union, the less confident is dropped.

    Returns:
        The faces, the most confident first.
    """
    height, width = pixels.shape[:2]
    scale = min(1, _MAX_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    windows = _windows(np.asarray(grey, dtype=np.uint8), min(size))
    scale_x, scale_y = width / size[0], height / size[1]
    faces = [_face(index, windows, scale_x, scale_y) for index in range(len(windows))]
    return without_overlaps([face for face in faces if face.confidence > confidence_threshold], nms_threshold)


@cache
def _cascade() -> Cascade:
    return Cascade(lbp_frontal_face_cascade_filename())


def _windows(grey: NDArray[np.uint8], largest: int) -> NDArray[np.float64]:
    """Find every window of up to ``largest`` pixels that the cascade accepts: x, y, width, height."""
    found = _cascade().detect_multi_scale(
        img=grey,
        scale_factor=_SCALE_FACTOR,
        step_ratio=_STEP_RATIO,
        min_size=(_WINDOW_SIDE, _WINDOW_SIDE),
        max_size=(largest, largest),
        # All windows: the built-in grouping also joins windows that hardly overlap.
        min_neighbor_number=0,
        intersection_score_threshold=2,
    )
    rows = [(window["c"], window["r"], window["width"], window["height"]) for window in found]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _face(index: int, windows: NDArray[np.float64], scale_x: float, scale_y: float) -> DetectedFace:
    """Return the face of a window: the mean of the windows that agree with it, in the image's pixels."""
    agreeing = windows[_overlaps(index, windows) >= _SAME_FACE_OVERLAP]
    x, y, width, height = (float(np.mean(agreeing[:, column])) for column in range(4))
    count = len(agreeing)
    return DetectedFace(
        Box(x * scale_x, y * scale_y, width * scale_x, height * scale_y),
        confidence=count / (count + _HALF_CONFIDENCE_WINDOWS),
    )


def _overlaps(index: int, windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the intersection over union of one window with each window."""
    starts, sizes = windows[:, :2], windows[:, 2:]
    ends = starts + sizes
    one = slice(index, index + 1)
    shared_sizes = np.clip(np.minimum(ends[one], ends) - np.maximum(starts[one], starts), 0, None)
    shared = shared_sizes[:, 0] * shared_sizes[:, 1]
    areas = sizes[:, 0] * sizes[:, 1]
    return shared / (areas[one] + areas - shared)
