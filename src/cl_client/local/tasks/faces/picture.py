"""Faces on a picture, whichever detector finds them, and the picture as the detectors want it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import cv2
import numpy as np

from cl_client.local.tasks.media.images import (
    displayable,
    flattened,
    open_picture,
    stored_size,
    upright,
    upright_size,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cv2.typing import MatLike

BgrPixels: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
"""Shape ``(height, width, 3)``: blue, green, red, as OpenCV has them."""

_MAX_PIXELS: Final = 25_000_000
"""A larger picture is reduced to so many pixels before anything is looked for, to bound the memory."""


class Point(NamedTuple):
    """A place in pixels, origin at the picture's top left; it may lie outside of the picture."""

    x: float
    y: float


class Landmarks(NamedTuple):
    """Five points of a face; left and right are the person's."""

    right_eye: Point
    left_eye: Point
    nose_tip: Point
    mouth_right: Point
    mouth_left: Point


class Box(NamedTuple):
    """A box in pixels, origin at the picture's top left; it may reach beyond the picture."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """A face in pixels.

    Attributes:
        box: Where it is.
        confidence: 0-1; what it means depends on the detector.
        landmarks: None where the detector knows none.
    """

    box: Box
    confidence: float
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright picture.

    Attributes:
        pixels: Reduced where the picture is huge.
        size: Width and height in pixels before that.
    """

    pixels: BgrPixels
    size: tuple[int, int]


def read_picture(file: Path) -> Picture:
    """Read a picture of any kind, an animation's first frame; what is transparent shows white.

    Raises:
        TaskFailedError: It is not a picture, damaged, or too large.
    """
    with open_picture(file) as image:
        width, height = upright_size(image)
        scale = min(1, sqrt(_MAX_PIXELS / (width * height)))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image.draft(None, stored_size(image, size))  # decodes a JPEG reduced, though not below this size
        picture = flattened(displayable(upright(image)))
        if picture.size != size:
            picture = picture.resize(size, reducing_gap=2.0)
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        pixels = cv2.cvtColor(np.asarray(picture, dtype=np.uint8), cv2.COLOR_RGB2BGR)
    return Picture(bgr_pixels(pixels), (width, height))


def bgr_pixels(pixels: MatLike) -> BgrPixels:
    """What OpenCV gave back, whose types leave out that it is of the shape and kind it was given."""
    return cast("BgrPixels", pixels)


def without_overlaps(faces: Sequence[DetectedFace], nms_threshold: float) -> list[DetectedFace]:
    """The faces, the most confident first, without those that overlap a more confident one.

    Args:
        faces: In any order.
        nms_threshold: 0-1, the intersection over union of two boxes above which the weaker one goes.
    """
    kept = cv2.dnn.NMSBoxes(
        [face.box for face in faces], [face.confidence for face in faces], 0.0, nms_threshold
    )
    return [faces[index] for index in kept]
