"""Copies of images with the faces marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import ImageDraw

from cl_client_cli.frame.whole_files import written_whole
from cl_client_cli.pictures.upright import open_picture, upright_picture, writable_format

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client.plugins.face_detection import Face, PixelBox

_COLOUR: Final = (0, 230, 118)
_STROKE: Final = 1 / 200
"""The width of a line, as a fraction of the image's longer side."""
_QUALITY: Final = 90
_TEXT_COLOUR: Final = (0, 40, 20)
_SMALLEST_TEXT: Final = 10
"""Pixels."""


def mark_faces(source: Path, faces: Sequence[Face], target: Path) -> None:
    """Write an upright copy of an image with a box, the landmarks and the confidence of each face.

    Args:
        source: The image.
        faces: The faces found in it.
        target: The copy; its suffix names the format. It is complete or missing, never partial.

    Raises:
        OSError: The image cannot be read here, or the copy cannot be written.
        UsageError: The suffix of the copy is not a writable image format.
    """
    with open_picture(source) as original:
        marked = upright_picture(original)
    draw = ImageDraw.Draw(marked)
    stroke = max(1, round(max(marked.size) * _STROKE))
    for face in faces:
        box = face.bbox.pixel_box(*marked.size)
        draw.rectangle(box, outline=_COLOUR, width=stroke)
        if face.landmarks is not None:
            at = face.landmarks.in_pixels(*marked.size)
            for point in (at.right_eye, at.left_eye, at.nose_tip, at.mouth_right, at.mouth_left):
                draw.circle(point, stroke, fill=_COLOUR)
        _write_beside(draw, box, f"{face.confidence:.2f}", stroke)
    with written_whole(target) as partial:
        # JPEG's default, colour at half the resolution, would blur thin lines.
        marked.save(partial, writable_format(target), quality=_QUALITY, subsampling="4:4:4")


def _write_beside(draw: ImageDraw.ImageDraw, box: PixelBox, text: str, stroke: int) -> None:
    """Write on a background of the box's colour, above the box, or inside it if there is no room above."""
    size = max(_SMALLEST_TEXT, stroke * 5)
    height = round(size * 1.3)
    top = box.top - height if box.top >= height else box.top
    place = draw.textbbox((box.left + stroke, top), text, font_size=size)
    draw.rectangle((box.left, top, place[2] + stroke, top + height), fill=_COLOUR)
    draw.text((box.left + stroke, top), text, fill=_TEXT_COLOUR, font_size=size)
