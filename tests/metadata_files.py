"""Files with metadata that Pillow does not write: XMP, IPTC, and turned HEIF pictures."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pillow_heif
from PIL import ExifTags, Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAMESPACES = {
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}


def xmp_packet(properties: Mapping[str, str]) -> bytes:
    """Write an XMP packet with simple properties, for instance ``photoshop:DateCreated``."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in properties.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def iptc_data(entries: Mapping[int, str]) -> bytes:
    """Write data sets of IPTC's application record."""
    return b"".join(
        struct.pack(">BBBH", 0x1C, 2, key, len(text)) + text.encode() for key, text in entries.items()
    )


def iptc_segment(entries: Mapping[int, str]) -> bytes:
    """Write a JPEG segment with IPTC."""
    data = iptc_data(entries)
    resource = b"8BIM" + struct.pack(">HBBI", 0x0404, 0, 0, len(data)) + data + b"\0" * (len(data) % 2)
    content = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def with_segment(file: Path, segment: bytes) -> None:
    """Insert a segment after the start of a JPEG."""
    content = file.read_bytes()
    file.write_bytes(content[:2] + segment + content[2:])


def heif_transformed(
    file: Path, exif_orientation: int | None, transforms: bytes, picture: Image.Image | None = None
) -> Path:
    """Write a HEIC or AVIF of 128 x 64 pixels.

    Args:
        file: The file, with the extension ``.heic`` or ``.avif``.
        exif_orientation: The orientation in EXIF; None for no EXIF.
        transforms: What the container applies, in this order: 0x0N for ``irot`` with the value N, 0x1N for
            ``imir``.
        picture: Of 128 x 64 pixels.

    Returns:
        The file.
    """
    pillow_heif.register_heif_opener()
    picture = picture or Image.new("RGB", (128, 64), (200, 60, 20))
    if exif_orientation is None:
        picture.save(file)
        content = file.read_bytes()
    else:
        # The encoders turn an orientation into a property of the container. So it is written as the next tag.
        tags = Image.Exif()
        tags[ExifTags.Base.Orientation + 1] = exif_orientation
        picture.save(file, exif=tags.tobytes())
        stored = struct.pack(">HHI", ExifTags.Base.Orientation + 1, 3, 1)
        content = file.read_bytes()
        assert content.count(stored) == 1
        content = content.replace(stored, struct.pack(">HHI", ExifTags.Base.Orientation, 3, 1))
    file.write_bytes(_with_transforms(content, transforms))
    return file


def _with_transforms(content: bytes, transforms: bytes) -> bytes:
    """Add transforming properties to the primary item, and move what follows them."""
    kinds = {0: b"irot", 1: b"imir"}
    boxes = b"".join(struct.pack(">I4sB", 9, kinds[value >> 4], value & 0xF) for value in transforms)
    ipco, ipma = content.index(b"ipco") - 4, content.index(b"ipma") - 4
    ipco_end = ipco + struct.unpack_from(">I", content, ipco)[0]
    existing = _count_boxes(content[ipco + 8 : ipco_end])
    indexes = bytes(0x80 | (existing + 1 + number) for number in range(len(transforms)))
    # The first item of the first ipma is the primary one, in files of both encoders.
    count_at = ipma + 4 + 4 + 4 + 4 + 2
    assert content[ipma + 8] == 0, "version 0"
    end = count_at + 1 + content[count_at]
    grown = bytearray(content)
    grown[end:end] = indexes
    grown[count_at] += len(indexes)
    grown[ipco_end:ipco_end] = boxes
    for box, growth in (
        (ipma + len(boxes), len(indexes)),
        (ipco, len(boxes)),
        (content.index(b"iprp") - 4, len(boxes) + len(indexes)),
        (content.index(b"meta") - 4, len(boxes) + len(indexes)),
    ):
        _add(grown, box, growth)
    _move_items(grown, len(boxes) + len(indexes))
    return bytes(grown)


def _count_boxes(content: bytes) -> int:
    position = count = 0
    while position < len(content):
        position += struct.unpack_from(">I", content, position)[0]
        count += 1
    return count


def _move_items(content: bytearray, by: int) -> None:
    """Correct the offsets in ``iloc``: of version 0 or 1, with 4 bytes for each offset or base."""
    position = content.index(b"iloc") + 4
    version = content[position]
    offset_size, length_size = content[position + 4] >> 4, content[position + 4] & 0xF
    base_size = content[position + 5] >> 4
    assert version in {0, 1}
    assert offset_size == 4
    assert base_size in {0, 4}
    (count,) = struct.unpack_from(">H", content, position + 6)
    position += 8
    for _ in range(count):
        position += 6 if version else 4
        has_base = base_size and struct.unpack_from(">I", content, position)[0]
        if has_base:
            _add(content, position, by)
        (extents,) = struct.unpack_from(">H", content, position + base_size)
        position += base_size + 2
        for _ in range(extents):
            if not has_base:
                _add(content, position, by)
            position += offset_size + length_size


def _add(content: bytearray, position: int, by: int) -> None:
    (value,) = struct.unpack_from(">I", content, position)
    struct.pack_into(">I", content, position, value + by)
