"""AVIF files that libavif refuses although browsers show them."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.formats.heif import Associations, read_meta

if TYPE_CHECKING:
    from pathlib import Path

_BRANDS: Final = frozenset({b"avif", b"avis", b"mif1", b"msf1"})


def repaired_avif(file: Path) -> io.BytesIO | None:
    """Join the ``ipma`` boxes of one layout into one, as the standard demands.

    Early encoders write one for each picture: one for the colours, one for the transparency.

    Args:
        file: The file.

    Returns:
        The repaired content; None if the file is no AVIF, or this is not what is wrong with it.

    Raises:
        OSError: The file cannot be read.
    """
    meta = read_meta(file)
    properties = meta and meta.child(b"iprp")
    if meta is None or meta.brand not in _BRANDS or properties is None:
        return None
    try:
        found = meta.associations()
        joined = _joined(found)
        replaced = b"".join(one.packed() for one in joined)
    except struct.error:
        return None
    start = found[0].box.start if found else 0
    are_last = found and sum(one.box.end - one.box.start for one in found) == properties.end - start
    room = properties.end - start - len(replaced)
    if len(joined) == len(found) or not are_last or room < 8:  # noqa: PLR2004 - the size of an empty box
        return None
    content = bytearray(file.read_bytes())
    # What became free is left as an empty box behind the properties, so that nothing changes its place.
    content[meta.offset + start : meta.offset + properties.end] = (
        replaced + struct.pack(">I4s", room, b"free") + bytes(room - 8)
    )
    size = properties.end - properties.start - room
    struct.pack_into(">I", content, meta.offset + properties.start, size)
    return io.BytesIO(content)


def _joined(associations: list[Associations]) -> list[Associations]:
    by_layout: dict[tuple[int, int], Associations] = {}
    for one in associations:
        joined = by_layout.setdefault(one.layout, Associations(one.box, one.layout))
        for item, numbers in one.items.items():
            joined.items.setdefault(item, []).extend(numbers)
    return list(by_layout.values())
