"""Pictures whose every part is known, and files that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from PIL import Image, ImageDraw
from pydantic import TypeAdapter

from cl_client.local.samples import draw_video

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client.local.samples import Orientation

Colour: TypeAlias = tuple[int, int, int]

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 60), (30, 60, 220), (240, 220, 40)
ORIENTATIONS: tuple[Orientation, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored for an EXIF orientation."""
PIXEL = TypeAdapter(tuple[int, ...])

NO_PICTURES = [
    ("empty.jpg", r"^empty\.jpg: the file is empty$"),
    ("text.jpg", r"^text\.jpg: not an image in a supported format \(text\)$"),
    ("clip.mp4", r"^clip\.mp4: not an image in a supported format \(a video\)$"),
    ("cut.png", r"^cut\.png: the image is truncated"),
    ("cut.jpg", r"^cut\.jpg: the image is truncated"),
]
"""What `write_no_picture` makes, and what a task that needs a picture says of it."""


def corners_picture(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Red, green, blue, yellow: top left, top right, bottom left, bottom right."""
    width, height = size
    picture = Image.new("RGB", size)
    draw = ImageDraw.Draw(picture)
    for index, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        x, y = index % 2 * width // 2, index // 2 * height // 2
        draw.rectangle((x, y, x + width // 2, y + height // 2), fill=colour)
    return picture


def pixel(image: Image.Image, x: float, y: float, mode: str = "RGB") -> tuple[int, ...]:
    """The pixel at these parts of width and height."""
    at = round(x * (image.width - 1)), round(y * (image.height - 1))
    return PIXEL.validate_python(image.convert(mode).getpixel(at))


def assert_close(colour: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 14) -> None:
    assert all(abs(a - b) <= tolerance for a, b in zip(colour, expected, strict=True)), (colour, expected)


def assert_corners(image: Image.Image, expected: Sequence[Colour] = (RED, GREEN, BLUE, YELLOW)) -> None:
    for index, colour in enumerate(expected):
        assert_close(pixel(image, 0.2 + 0.6 * (index % 2), 0.2 + 0.6 * (index // 2)), colour)


def write_no_picture(path: Path, picture: Image.Image) -> None:
    """One of `NO_PICTURES`; where it is a cut one, this picture's file up to where the pixels begin."""
    if path.stem == "empty":
        path.touch()
    elif path.stem == "text":
        path.write_text("Buy milk. " * 100, encoding="utf-8")
    elif path.stem == "clip":
        draw_video(path, seconds=0.2, size=(64, 48))
    else:
        picture.save(path)
        path.write_bytes(without_pixels(path.read_bytes()))


def without_pixels(content: bytes) -> bytes:
    """A JPEG or PNG up to where the data of its pixels begin."""
    start = content.index(b"IDAT") + 4 if content.startswith(b"\x89PNG") else content.index(b"\xff\xda") + 14
    return content[:start]
