"""AVIF files as other encoders than Pillow's write them."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def avif(image: Image.Image, *, primaries: int = 1, transfer: int = 13) -> bytes:
    """An AVIF without ICC profile, whose colour space is given by these numbers of ISO/IEC 23091-2."""
    content = io.BytesIO()
    image.save(content, "AVIF", quality=100, subsampling="4:4:4")
    data = bytearray(content.getvalue())
    struct.pack_into(">HH", data, data.index(b"colrnclx") + 8, primaries, transfer)
    return bytes(data)


def with_an_association_box_for_each_picture(data: bytes) -> bytes:
    """Split the one box that says which properties each picture has; what follows moves."""
    start = data.index(b"ipma") - 4
    size, _, version_and_flags, count = struct.unpack_from(">I4sII", data, start)
    assert version_and_flags == 0
    parts: list[bytes] = []
    position = start + 16
    for _ in range(count):
        end = position + 3 + data[position + 2]
        parts.append(struct.pack(">I4sII", 16 + end - position, b"ipma", 0, 1) + data[position:end])
        position = end
    assert position == start + size
    replaced = b"".join(parts)
    grown = len(replaced) - size
    changed = bytearray(data[:start] + replaced + data[start + size :])
    for kind in (b"iprp", b"meta"):
        at = changed.index(kind) - 4
        struct.pack_into(">I", changed, at, struct.unpack_from(">I", changed, at)[0] + grown)
    _move_data(changed, grown)
    return bytes(changed)


def _move_data(data: bytearray, distance: int) -> None:
    """Correct where the data of each picture are, in the box "item location"."""
    start = data.index(b"iloc") + 4
    version, sizes, count = struct.unpack_from(">IHH", data, start)
    assert (version, sizes) == (0, 0x4400)
    for index in range(count):
        at = start + 8 + index * 14 + 6
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + distance)
