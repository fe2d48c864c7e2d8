"""Faces in an image, whichever detector finds them, and the image in the detectors' format."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import cv2
import numpy as np

from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.images.orientation import stored_size, upright, upright_size
from cl_client.local.tasks.images.pixels import displayable, flattened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cv2.typing import MatLike

BgrPixels: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
"""Shape ``(height, width, 3)``: blue, green, red, as in OpenCV."""

_MAX_PIXELS: Final = 25_000_000
"""A larger image is reduced to this many pixels before detection, to limit the memory."""


class Point(NamedTuple):
    """A position in pixels, origin at the image's top left; it may be outside of the image."""

    x: float
    y: float


class Landmarks(NamedTuple):
    """Five points of a face; left and right are those of the person."""

    right_eye: Point
    left_eye: Point
    nose_tip: Point
    mouth_right: Point
    mouth_left: Point


class Box(NamedTuple):
    """A box in pixels, origin at the image's top left; it may reach beyond the image."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """A face in pixels.

    Attributes:
        box: The bounding box.
        confidence: 0-1; its meaning depends on the detector.
        landmarks: None if the detector does not find any.
    """

    box: Box
    confidence: float
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright image.

    Attributes:
        pixels: The pixels; reduced if the image is huge.
        size: Width and height in pixels before that reduction.
    """

    pixels: BgrPixels
    size: tuple[int, int]


def read_picture(file: Path, warn: Callable[[str], None]) -> Picture:
    """Read an image of any format; of an animation, the first frame. Transparent parts become white.

    Args:
        file: The image.
        warn: Called with each problem that does not prevent the image from being used.

    Returns:
        The upright image.

    Raises:
        TaskFailedError: The file is not an image, is damaged, or is too large.
    """
    with open_picture(file, warn) as image:
        width, height = upright_size(image)
        scale = min(1, sqrt(_MAX_PIXELS / (width * height)))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image.draft(None, stored_size(image, size))  # decodes a JPEG at reduced size, not below this one
        picture = flattened(displayable(upright(image)))
        if picture.size != size:
            picture = picture.resize(size, reducing_gap=2.0)
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        pixels = cv2.cvtColor(np.asarray(picture, dtype=np.uint8), cv2.COLOR_RGB2BGR)
    return Picture(bgr_pixels(pixels), (width, height))


def bgr_pixels(pixels: MatLike) -> BgrPixels:
    """Cast a result of OpenCV, whose type hints omit the shape and the dtype.

    Args:
        pixels: Shape ``(height, width, 3)``, uint8.

    Returns:
        The same array.
    """
    return cast("BgrPixels", pixels)


def without_overlaps(faces: Sequence[DetectedFace], nms_threshold: float) -> list[DetectedFace]:
    """Drop the faces that overlap a more confident one.

    Args:
        faces: The faces, in any order.
        nms_threshold: 0-1; of two boxes with a higher intersection over union, the less confident is dropped.

    Returns:
        The other faces, the most confident first.
    """
    kept = cv2.dnn.NMSBoxes(
        [face.box for face in faces], [face.confidence for face in faces], 0.0, nms_threshold
    )
    return [faces[index] for index in kept]
