"""Camera raw files, as DNG: a sensor's values behind a small picture, and a preview."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from cl_client.local.samples import Orientation

BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10
Value: TypeAlias = tuple[int, bytes]
"""The type of a tag's values, and the values in little-endian byte order."""

_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, SIGNED_RATIONAL: 8}
_WHITE, _BLACK = 4000, 100
_XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)


def shorts(*values: int) -> Value:
    return SHORT, struct.pack(f"<{len(values)}H", *values)


def longs(*values: int) -> Value:
    return LONG, struct.pack(f"<{len(values)}I", *values)


def octets(*values: int) -> Value:
    return BYTE, bytes(values)


def text(value: str) -> Value:
    return ASCII, value.encode("ascii") + b"\0"


def fractions(*values: float) -> Value:
    numbers = [part for value in values for part in (round(value * 10_000), 10_000)]
    return SIGNED_RATIONAL, struct.pack(f"<{len(numbers)}i", *numbers)


@dataclass(frozen=True)
class Part:
    """A directory: its pixels as stored, in equal strips, and its tags without their positions."""

    data: bytes
    tags: Mapping[int, Value]
    children: tuple[Part, ...] = field(default=())
    strips: int = 1


def write_dng(
    path: Path,
    photo: Image.Image,
    *,
    orientation: Orientation = 1,
    preview: Image.Image | None = None,
    compression: int = 1,
    make: str = "Example",
    dng: bool = True,
) -> None:
    """Write a raw file.

    Args:
        path: The file.
        photo: What the camera saw, as stored: not turned by `orientation`. Even width and height.
        orientation: How to turn it.
        preview: The JPEG behind the small first picture, as stored; none by default.
        make: The camera's maker.
        dng: Whether to say that it is a DNG, instead of a maker's own format.
        compression: The number that the sensor's values are said to be compressed with; they never are.
    """
    small = photo.resize((16, 12)).convert("RGB")
    first: dict[int, Value] = {
        **_picture_tags(small.size, reduced=True, samples=3, bits=8, photometric=2),
        271: text(make), 272: text("Raw One"), 274: shorts(orientation), 50707: octets(1, 1, 0, 0),
        50708: text("Example Raw One"), 50721: fractions(*_XYZ_TO_SRGB),
        50728: (RATIONAL, struct.pack("<6I", 1, 1, 1, 1, 1, 1)), 50778: shorts(21),
    }  # fmt: skip
    if dng:
        first[50706] = octets(1, 4, 0, 0)
    raw = {
        **_picture_tags(photo.size, samples=1, bits=16, photometric=32803, compression=compression),
        33421: shorts(2, 2), 33422: octets(0, 1, 1, 2), 50714: shorts(_BLACK), 50717: shorts(_WHITE),
    }  # fmt: skip
    parts = [Part(sensor_values(photo).tobytes(), raw)]
    if preview is not None:
        content = io.BytesIO()
        preview.save(content, "JPEG", quality=95, exif=preview.getexif())
        tags = _picture_tags(preview.size, reduced=True, samples=3, bits=8, photometric=6, compression=7)
        parts.append(Part(content.getvalue(), tags))
    path.write_bytes(tiff(Part(small.tobytes(), first, tuple(parts))))


def sensor_values(photo: Image.Image) -> NDArray[np.uint16]:
    """What a sensor with red, green, green, blue filters measures of a picture in sRGB."""
    encoded = np.asarray(photo.convert("RGB"), dtype=np.float64) / 0xFF
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    values = np.zeros(linear.shape[:2])
    for (row, column), channel in {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}.items():
        values[row::2, column::2] = linear[row::2, column::2, channel]
    return (_BLACK + values * (_WHITE - _BLACK)).astype("<u2")


def tiff(first: Part) -> bytes:
    """Lay out a little-endian TIFF of one directory with its children."""
    content = bytearray(struct.pack("<2sHI", b"II", 42, 0))
    struct.pack_into("<I", content, 4, _append(content, first))
    return bytes(content)


def _append(content: bytearray, part: Part) -> int:
    children = [_append(content, child) for child in part.children]
    start, length = _add(content, part.data), len(part.data) // part.strips
    positions = range(start, start + len(part.data), length)
    tags = {**part.tags, 273: longs(*positions), 279: longs(*[length] * part.strips)}
    if children:
        tags[330] = longs(*children)
    entries = b""
    for tag, (kind, data) in sorted(tags.items()):
        stored = data if len(data) <= 4 else struct.pack("<I", _add(content, data))
        entries += struct.pack("<HHI", tag, kind, len(data) // _SIZES[kind]) + stored.ljust(4, b"\0")
    return _add(content, struct.pack("<H", len(tags)) + entries + bytes(4))


def _add(content: bytearray, data: bytes) -> int:
    content += bytes(len(content) % 2)
    content += data
    return len(content) - len(data)


def _picture_tags(
    size: tuple[int, int],
    *,
    samples: int,
    bits: int,
    photometric: int,
    compression: int = 1,
    reduced: bool = False,
) -> dict[int, Value]:
    width, height = size
    return {
        254: longs(int(reduced)), 256: longs(width), 257: longs(height), 258: shorts(*[bits] * samples),
        259: shorts(compression), 262: shorts(photometric), 277: shorts(samples), 278: longs(height),
        284: shorts(1),
    }  # fmt: skip
