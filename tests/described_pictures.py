"""Pictures in every format with EXIF, XMP and IPTC, and a second look at what a file holds of them."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pillow_heif
from PIL import ExifTags, Image, PngImagePlugin
from pydantic import TypeAdapter

from cl_client.models import JSONObject
from pictures import corners_picture

if TYPE_CHECKING:
    from pathlib import Path

AUTHOR, RIGHTS = "Zoë Ångström", "© 2024 Éditions du Port"
TITLE, KEYWORDS = "Fähre im Nebel", ("ferry", "fog")
IPTC = b"\x1c\x02\x19\x00\x05ferry\x1c\x02\x19\x00\x03fog\x1c\x02\x50\x00\x05Smith"
"""Two keywords and the author."""
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmp:Rating="4" photoshop:Instructions="one&#xA;two">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{TITLE}</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>ferry</rdf:li><rdf:li>fog</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()
_FIELDS = {"<": "II", ">": "MM"}
_TAGS = TypeAdapter(list[JSONObject])


def exif_block(order: str = "<") -> bytes:
    """EXIF from the ground up, with texts in UTF-8 as editors store them, and a preview.

    Args:
        order: ``<`` for little-endian, ``>`` for big-endian.
    """
    details = {
        0x829A: (5, struct.pack(order + "II", 1, 250)),
        0x9003: (2, b"2024:05:01 10:20:30\0"),
        0x9204: (10, struct.pack(order + "ii", -2, 3)),
        0x927C: (7, b"maker note of 24 bytes.."),
        0x9286: (7, b"ASCII\0\0\0seen from the pier"),
        0x9290: (2, b"25\0"),
        0xA002: (3, struct.pack(order + "H", 96)),
        0xA003: (3, struct.pack(order + "H", 64)),
        0xA430: (2, AUTHOR.encode() + b"\0"),
        0xA434: (2, b"85mm\0"),
    }
    place = {1: (2, b"N\0"), 2: (5, struct.pack(order + "6I", 45, 1, 58, 1, 35, 1))}
    main = {
        0x010F: (2, b"Fotowerk\0"),
        0x013B: (2, AUTHOR.encode() + b"\0"),
        0x8298: (2, RIGHTS.encode() + b"\0"),
        0x4746: (3, struct.pack(order + "H", 4)),
    }
    return _Block(order).content(main, {0x8769: details, 0x8825: place})


class _Block:
    def __init__(self, order: str) -> None:
        self._order = order
        self._content = bytearray(_FIELDS[order].encode() + struct.pack(order + "HI", 42, 0))

    def content(
        self, main: dict[int, tuple[int, bytes]], below: dict[int, dict[int, tuple[int, bytes]]]
    ) -> bytes:
        pointers = {tag: (4, struct.pack(self._order + "I", self._add(one, 0))) for tag, one in below.items()}
        preview = self._add({0x0201: (4, bytes(4)), 0x0202: (4, bytes(4))}, 0)
        start = self._add(main | pointers, preview)
        self._content[4:8] = struct.pack(self._order + "I", start)
        return bytes(self._content)

    def _add(self, fields: dict[int, tuple[int, bytes]], following: int) -> int:
        entries = bytearray()
        for tag, (kind, content) in sorted(fields.items()):
            value = content.ljust(4, b"\0")
            if len(content) > 4:
                value = struct.pack(self._order + "I", len(self._content))
                self._content += content + bytes(len(content) % 2)
            count = len(content) // {2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8}[kind]
            entries += struct.pack(self._order + "HHI", tag, kind, count) + value
        start = len(self._content)
        self._content += struct.pack(self._order + "H", len(fields)) + entries
        self._content += struct.pack(self._order + "I", following)
        return start


def resource(number: int, content: bytes) -> bytes:
    """One of Photoshop's image resources."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + bytes(len(content) % 2)


def app13(*resources: bytes) -> bytes:
    """The segment of a JPEG that holds image resources."""
    content = b"Photoshop 3.0\0" + b"".join(resources)
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def write_described(path: Path, *, exif: bytes = b"", xmp: bytes = XMP, iptc: bytes = IPTC) -> None:
    """Write a picture with all the metadata that its format, told by the name, can hold.

    Args:
        path: The file.
        exif: EXIF without its mark; that of `exif_block` if empty.
        xmp: XMP.
        iptc: IPTC.
    """
    pillow_heif.register_heif_opener()
    exif = exif or exif_block()
    picture = corners_picture()
    match path.suffix:
        case ".jpg":
            marked = b"Exif\0\0" + exif
            picture.save(path, exif=marked, xmp=xmp, extra=app13(resource(0x0404, iptc)), quality=95)
        case ".png":
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", xmp.decode())
            picture.save(path, exif=exif, pnginfo=info)
        case ".webp" | ".avif" | ".heic":
            picture.save(path, exif=b"Exif\0\0" + exif, xmp=xmp, quality=95)
        case ".tiff":
            _write_tiff(path, picture, exif, xmp, iptc)
        case ".gif":
            picture.save(path)
            trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
            content = path.read_bytes()
            path.write_bytes(content[:-1] + b"\x21\xff\x0bXMP DataXMP" + xmp + trailer + content[-1:])
        case _:
            _write_psd(path, picture, resource(0x0422, exif) + resource(0x0424, xmp) + resource(0x0404, iptc))


def _write_tiff(path: Path, picture: Image.Image, exif: bytes, xmp: bytes, iptc: bytes) -> None:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + exif)
    tags[ExifTags.Base.Artist] = AUTHOR.encode()
    tags[ExifTags.Base.Copyright] = RIGHTS.encode()
    tags[700] = xmp
    tags[33723] = iptc
    picture.save(path, exif=tags)


def _write_psd(path: Path, picture: Image.Image, resources: bytes) -> None:
    width, height = picture.size
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, height, width, 8, 3)
    planes = b"".join(band.tobytes() for band in picture.split())
    sections = bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(4)
    path.write_bytes(header + sections + bytes(2) + planes)


def exiftool_tags(path: Path) -> JSONObject | None:
    """All tags that ExifTool finds, as ``Group:Name``; None where it is not installed."""
    program = shutil.which("exiftool")
    if program is None:
        return None
    command = [program, "-json", "-G1", "-n", "-charset", "utf8", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - the test's own file
    return _TAGS.validate_json(done.stdout)[0]
