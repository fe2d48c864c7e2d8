"""Photoshop's image resources, the blocks in JPEG, TIFF and PSD that hold IPTC."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

IPTC: Final = 0x0404
EXIF: Final = 0x0422
XMP: Final = 0x0424
PREVIEWS: Final = frozenset({0x0409, 0x040C})
"""Numbers of resources, from Adobe's description of Photoshop's file formats."""
_COPYRIGHT_FLAG, _COPYRIGHT_URL, _IPTC_DIGEST = 0x040A, 0x040B, 0x0425
_KEPT: Final = (IPTC, _COPYRIGHT_FLAG, _COPYRIGHT_URL, _IPTC_DIGEST)
_SIGNATURE: Final = b"8BIM"
SEGMENT_MARK: Final = b"Photoshop 3.0\0"
MAX_SEGMENT: Final = 65_533
"""Bytes that fit into one segment of a JPEG, behind its length."""


def read_resources(blocks: bytes) -> dict[int, bytes]:
    """Read blocks as far as they are valid.

    Args:
        blocks: The blocks, one after another.

    Returns:
        The content of each by its number; of two alike the first.
    """
    resources: dict[int, bytes] = {}
    at = 0
    while blocks[at : at + 4] == _SIGNATURE and len(blocks) >= at + 12:
        number = int.from_bytes(blocks[at + 4 : at + 6], "big")
        name_length = blocks[at + 6] + 1
        at += 6 + name_length + name_length % 2
        size = int.from_bytes(blocks[at : at + 4], "big")
        content = blocks[at + 4 : at + 4 + size]
        if len(content) < size:
            break
        resources.setdefault(number, content)
        at += 4 + size + size % 2
    return resources


def kept_resources(resources: Mapping[int, bytes]) -> dict[int, bytes]:
    """Choose what describes the image, and not how it was stored: IPTC, its digest, and the copyright.

    Args:
        resources: All.

    Returns:
        Those to keep.
    """
    return {number: resources[number] for number in _KEPT if number in resources}


def written_resources(resources: Mapping[int, bytes]) -> bytes:
    """Write blocks, without names.

    Args:
        resources: The content of each by its number.

    Returns:
        The blocks, one after another.
    """
    return b"".join(
        _SIGNATURE + struct.pack(">HHI", number, 0, len(content)) + content + bytes(len(content) % 2)
        for number, content in sorted(resources.items())
    )


def jpeg_segment(resources: Mapping[int, bytes]) -> bytes | None:
    """Write the segment of a JPEG.

    Args:
        resources: The content of each by its number.

    Returns:
        The whole APP13 segment; None if it would be too long for a segment.
    """
    content = SEGMENT_MARK + written_resources(resources)
    if len(content) > MAX_SEGMENT:
        return None
    return b"\xff\xed" + struct.pack(">H", 2 + len(content)) + content
