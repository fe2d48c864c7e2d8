"""Face detection with YuNet, https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import cv2
import numpy as np

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.faces.picture import (
    Box,
    DetectedFace,
    Landmarks,
    Point,
    bgr_pixels,
    without_overlaps,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client.local.models.store import ModelStore
    from cl_client.local.tasks.faces.picture import BgrPixels

# YuNet finds faces of about 10 to 300 pixels (see the page above), and takes some 80 bytes of memory per
# pixel. So a large image is searched in overlapping tiles at full size, for small faces, and as a whole,
# reduced to the size of a tile, for large ones.
_TILE_SIDE: Final = 1280
_TILE_OVERLAP: Final = 320
_CUT_MARGIN: Final = 8
"""Pixels; a face this close to the edge of a tile inside the image may be cut by it."""
_MAX_CANDIDATES: Final = 5000
"""Per tile, before overlapping ones are dropped; OpenCV's default."""
_MODEL: Final = "yunet"


class _Tile(NamedTuple):
    x: int
    y: int
    width: int
    height: int


def model_file(models: ModelStore) -> Path | None:
    """Find YuNet's file.

    Args:
        models: The model store to search.

    Returns:
        The path of the file; None if it was neither downloaded nor configured.

    Raises:
        ModelUnavailableError: The file is damaged, or the configured one was not found.
    """
    wanted = _MODEL in models.overrides or models.find(_MODEL) is not None
    return models.require(_MODEL) if wanted else None


def detect_faces(
    pixels: BgrPixels,
    model: Path,
    *,
    confidence_threshold: float,
    nms_threshold: float,
    report: Callable[[float], None],
) -> list[DetectedFace]:
    """Find faces, with landmarks.

    Args:
        pixels: The upright image.
        model: YuNet's ONNX file.
        confidence_threshold: 0-1; YuNet's score must be above it.
        nms_threshold: 0-1; of two boxes with a higher intersection over union, the less confident is dropped.
        report: Called with the progress, 0-1.

    Returns:
        The faces, the most confident first.

    Raises:
        TaskFailedError: OpenCV cannot use the file as a YuNet model.
    """
    tiles = _tiles(pixels.shape[1], pixels.shape[0])
    try:
        detector = _load(model, confidence_threshold, nms_threshold)
        faces = _faces_on_whole(detector, pixels)
        for number, tile in enumerate(tiles, 1):
            report(number / (len(tiles) + 1))
            faces += _faces_on_tile(detector, pixels, tile)
    except cv2.error as exc:
        raise TaskFailedError(f"{model.name}: OpenCV cannot use it as a YuNet model ({exc})") from exc
    report(1)
    return without_overlaps(faces, nms_threshold)


def _load(model: Path, confidence_threshold: float, nms_threshold: float) -> cv2.FaceDetectorYN:
    # From memory, as OpenCV on Windows cannot open paths with characters outside the system's code page.
    content = np.fromfile(model, dtype=np.uint8)
    nothing = np.empty(0, dtype=np.uint8)
    return cv2.FaceDetectorYN.create(
        "onnx", content, nothing, (1, 1), confidence_threshold, nms_threshold, _MAX_CANDIDATES
    )


def _tiles(width: int, height: int) -> list[_Tile]:
    """Return tiles that cover the image at full size; none if it is not larger than one tile."""
    if max(width, height) <= _TILE_SIDE:
        return []
    tile_width, tile_height = min(width, _TILE_SIDE), min(height, _TILE_SIDE)
    return [_Tile(x, y, tile_width, tile_height) for y in _starts(height) for x in _starts(width)]


def _starts(length: int) -> list[int]:
    """Return the positions of the tiles along one side: evenly spaced, with at least the required overlap."""
    room = length - _TILE_SIDE
    if room <= 0:
        return [0]
    steps = ceil(room / (_TILE_SIDE - _TILE_OVERLAP))
    return [room * step // steps for step in range(steps + 1)]


def _is_cut(box: Box, tile: _Tile, picture_width: int, picture_height: int) -> bool:
    """Tell whether a face may extend beyond its tile; then another tile or the whole image shows it."""
    right, bottom = tile.x + tile.width, tile.y + tile.height
    return (
        (tile.x > 0 and box.x < tile.x + _CUT_MARGIN)
        or (tile.y > 0 and box.y < tile.y + _CUT_MARGIN)
        or (right < picture_width and box.x + box.width > right - _CUT_MARGIN)
        or (bottom < picture_height and box.y + box.height > bottom - _CUT_MARGIN)
    )


def _faces_on_whole(detector: cv2.FaceDetectorYN, pixels: BgrPixels) -> list[DetectedFace]:
    """Find the faces on the whole image, which is reduced if it is larger than a tile."""
    height, width = pixels.shape[:2]
    scale = min(1, _TILE_SIDE / max(width, height))
    if scale == 1:
        return _detect(detector, pixels)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = bgr_pixels(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    return _detect(detector, reduced, scale=(width / size[0], height / size[1]))


def _faces_on_tile(detector: cv2.FaceDetectorYN, pixels: BgrPixels, tile: _Tile) -> list[DetectedFace]:
    height, width = pixels.shape[:2]
    part = bgr_pixels(pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width])
    faces = _detect(detector, part, origin=(tile.x, tile.y))
    return [face for face in faces if not _is_cut(face.box, tile, width, height)]


def _detect(
    detector: cv2.FaceDetectorYN,
    part: BgrPixels,
    *,
    origin: tuple[int, int] = (0, 0),
    scale: tuple[float, float] = (1, 1),
) -> list[DetectedFace]:
    """Find the faces in a part of the image.

    Args:
        detector: YuNet.
        part: The part to search.
        origin: Position of its top left in the image, in pixels.
        scale: Width and height of one of its pixels, in pixels of the image.

    Returns:
        The faces, in pixels of the image.
    """
    height, width = part.shape[:2]
    detector.setInputSize((width, height))
    # Unlike the type hints say, it is None if there is no face.
    rows = cast("NDArray[np.float32] | None", detector.detect(part)[1])
    return (
        []
        if rows is None
        else [_face(row, origin, scale) for row in cast("list[list[float]]", rows.tolist())]
    )


def _face(row: list[float], origin: tuple[int, int], scale: tuple[float, float]) -> DetectedFace:
    """Convert 15 numbers to a face: x, y, width and height of the box, five points, and the score."""
    pairs = [(x * scale[0], y * scale[1]) for x, y in zip(row[0:14:2], row[1:14:2], strict=True)]
    corner, size, *points = pairs
    landmarks = Landmarks(*(Point(origin[0] + x, origin[1] + y) for x, y in points))
    return DetectedFace(Box(origin[0] + corner[0], origin[1] + corner[1], *size), row[14], landmarks)
