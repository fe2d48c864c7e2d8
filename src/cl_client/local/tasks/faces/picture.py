"""Faces in an image, and the image as an array."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import numpy as np

from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.images.orientation import stored_size, upright, upright_size
from cl_client.local.tasks.images.pixels import displayable, flattened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

RgbPixels: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
"""Shape ``(height, width, 3)``: red, green, blue."""

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
        confidence: 0-1.
        landmarks: Eyes, nose and mouth.
    """

    box: Box
    confidence: float
    landmarks: Landmarks

    def scaled(self, across: float, down: float) -> DetectedFace:
        """Convert the face to the pixels of an image of another size.

        Args:
            across: The other width for each pixel of this one.
            down: The other height for each pixel of this one.

        Returns:
            The face in those pixels.
        """
        x, y, width, height = self.box
        points = Landmarks(*(Point(point.x * across, point.y * down) for point in self.landmarks))
        return DetectedFace(Box(x * across, y * down, width * across, height * down), self.confidence, points)

    def moved(self, right: float, down: float) -> DetectedFace:
        """Convert the face of a part of an image to the pixels of the whole.

        Args:
            right: The left edge of the part.
            down: The top edge of the part.

        Returns:
            The face in those pixels.
        """
        x, y, width, height = self.box
        points = Landmarks(*(Point(point.x + right, point.y + down) for point in self.landmarks))
        return DetectedFace(Box(x + right, y + down, width, height), self.confidence, points)


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright image.

    Attributes:
        pixels: The pixels; reduced if the image is huge.
        size: Width and height in pixels before that reduction.
    """

    pixels: RgbPixels
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
        pixels = rgb_pixels(picture)
    return Picture(pixels, (width, height))


def rgb_pixels(picture: Image.Image) -> RgbPixels:
    """Copy an image to an array.

    Args:
        picture: The image, in mode RGB.

    Returns:
        Its pixels.
    """
    return cast("RgbPixels", np.array(picture, dtype=np.uint8))


def without_overlaps(faces: Sequence[DetectedFace], nms_threshold: float) -> list[DetectedFace]:
    """Drop the faces that overlap a more confident one.

    Args:
        faces: The faces, in any order.
        nms_threshold: 0-1; of two boxes with a higher intersection over union, the less confident is dropped.

    Returns:
        The other faces, the most confident first.
    """
    rest = sorted(faces, key=lambda face: -face.confidence)
    boxes = np.array([face.box for face in rest], dtype=np.float64).reshape(-1, 4)
    kept: list[DetectedFace] = []
    places = np.arange(len(rest))
    while places.size:
        best = cast("int", places[0].item())
        kept.append(rest[best])
        others: NDArray[np.intp] = places[1:]
        places = others[_overlaps(boxes[best : best + 1], boxes[others]) <= nms_threshold]
    return kept


def _overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the intersection over union of a box, shape ``(1, 4)``, with each of the others."""
    ends, other_ends = box[:, :2] + box[:, 2:], others[:, :2] + others[:, 2:]
    sides = np.clip(np.minimum(ends, other_ends) - np.maximum(box[:, :2], others[:, :2]), 0, None)
    shared = sides[:, 0] * sides[:, 1]
    both = box[:, 2] * box[:, 3] + others[:, 2] * others[:, 3]
    return shared / (both - shared)
