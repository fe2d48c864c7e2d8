"""Face detection with YuNet, also on images that are too large for it."""

from __future__ import annotations

from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from PIL import Image

from cl_client.local.models.catalog import INCLUDED, MODELS
from cl_client.local.tasks.faces.picture import rgb_pixels, without_overlaps
from cl_client.local.tasks.faces.yunet import YuNet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client.local.models.store import ModelStore
    from cl_client.local.tasks.faces.picture import Box, DetectedFace, RgbPixels

    _Detect: TypeAlias = Callable[[RgbPixels], list[DetectedFace]]

# YuNet finds faces of about 10 to 300 pixels (see the page above), and takes some 80 bytes of memory per
# pixel. So a large image is searched in overlapping tiles at full size, for small faces, and as a whole,
# reduced to the size of a tile, for large ones.
_TILE_SIDE: Final = 1280
_TILE_OVERLAP: Final = 320
_CUT_MARGIN: Final = 8
"""Pixels; a face this close to the edge of a tile inside the image may be cut by it."""
_MODEL: Final = "yunet"


class _Tile(NamedTuple):
    x: int
    y: int
    width: int
    height: int


def installed_model(models: ModelStore) -> Path | None:
    """Find the file of YuNet that was downloaded or configured.

    Args:
        models: The model store to search.

    Returns:
        The path of the file; None if there is only the one that comes with this package.

    Raises:
        ModelUnavailableError: The downloaded file is damaged, or the configured one was not found.
    """
    wanted = _MODEL in models.overrides or models.find(_MODEL) is not None
    return models.require(_MODEL) if wanted else None


def model_file(models: ModelStore) -> Path:
    """Find YuNet's file: the one that was downloaded or configured, or else the one of this package.

    Args:
        models: The model store to search.

    Returns:
        The path of the file.
    """
    return installed_model(models) or MODELS[_MODEL].path_in(INCLUDED)


def detect_faces(
    pixels: RgbPixels,
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
    """
    tiles = _tiles(pixels.shape[1], pixels.shape[0])
    network = _load(model)

    def detect(part: RgbPixels) -> list[DetectedFace]:
        return without_overlaps(network.detect(part, confidence_threshold), nms_threshold)

    faces = _faces_on_whole(detect, pixels)
    for number, tile in enumerate(tiles, 1):
        report(number / (len(tiles) + 1))
        faces += _faces_on_tile(detect, pixels, tile)
    report(1)
    return without_overlaps(faces, nms_threshold)


@cache
def _load(model: Path) -> YuNet:
    return YuNet(model)


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


def _faces_on_whole(detect: _Detect, pixels: RgbPixels) -> list[DetectedFace]:
    """Find the faces on the whole image, which is reduced if it is larger than a tile."""
    height, width = pixels.shape[:2]
    scale = min(1, _TILE_SIDE / max(width, height))
    if scale == 1:
        return detect(pixels)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = rgb_pixels(Image.fromarray(pixels).resize(size, Image.Resampling.HAMMING))
    return [face.scaled(width / size[0], height / size[1]) for face in detect(reduced)]


def _faces_on_tile(detect: _Detect, pixels: RgbPixels, tile: _Tile) -> list[DetectedFace]:
    height, width = pixels.shape[:2]
    part = cast("RgbPixels", pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width])
    faces = [face.moved(tile.x, tile.y) for face in detect(part)]
    return [face for face in faces if not _is_cut(face.box, tile, width, height)]
