"""The pictures among the demo's results: how large they are, and where the faces on them are."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client.plugins.face_detection import Face

_COLOUR: Final = (0, 230, 118)
_STROKE: Final = 1 / 200
"""The width of a line, in parts of the picture's longer side."""
_QUALITY: Final = 90


def picture_size(file: Path) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        OSError: It is not a picture.
    """
    with Image.open(file) as picture:
        return picture.size


def draw_faces(picture: bytes, faces: Sequence[Face], target: Path) -> None:
    """Write a copy of an upright picture with a box around each face, and a dot on each of its landmarks.

    Raises:
        OSError: It is not a picture, or the copy cannot be written.
    """
    with Image.open(BytesIO(picture)) as original:
        marked = original.convert("RGB")
    draw = ImageDraw.Draw(marked)
    stroke = max(1, round(max(marked.size) * _STROKE))
    for face in faces:
        draw.rectangle(face.bbox.pixel_box(*marked.size), outline=_COLOUR, width=stroke)
        if face.landmarks is not None:
            at = face.landmarks.in_pixels(*marked.size)
            for point in (at.right_eye, at.left_eye, at.nose_tip, at.mouth_right, at.mouth_left):
                draw.circle(point, stroke, fill=_COLOUR)
    # Colour at half the resolution, JPEG's default, would smear lines as thin as these.
    marked.save(target, quality=_QUALITY, subsampling="4:4:4")
