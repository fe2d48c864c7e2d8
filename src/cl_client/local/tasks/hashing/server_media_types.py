"""The media type of a file in the words of real servers.

Real servers ask libmagic, and hash what it says. libmagic does not know all: of a file that it takes for
something else, the bytes are hashed. `docs/hash.md` lists what differs here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cl_client._transfers.content_types import type_of_media
from cl_client.local.tasks.formats.image_kinds import is_document, supported_kind, unsupported_kind
from cl_client.local.tasks.media_types import detect_media_type

if TYPE_CHECKING:
    from pathlib import Path

ServerMediaType: TypeAlias = Literal["text", "image", "video", "audio", "file", "url"]

_HEAD_BYTES: Final = 64 * 1024
"""As far as libmagic looks whether a file is text."""

_NOT_KNOWN: Final = (
    b"DDS ", b"\x01\xda", b"PF\n", b"Pf\n", b"#?RADIANCE", b"#?RGBE",  # DDS, SGI, PFM, Radiance
    b"IIU\0", b"\0MRM",  # RW2, MRW
    b"\x06\x0e\x2b\x34", b"nut/multimedia", b".RMF", b"caff", b"DKIF",  # MXF, NUT, RealMedia, CAF, IVF
    b"\0\0\0\0\1\xbc", b"\xb7\xd8\0\x20\x37\x49\xda\x11",  # GXF, WTV
)  # fmt: skip
"""How media begin that libmagic (5.41 and 5.44) does not take for media."""
_NOT_KNOWN_LATER: Final = {40: b" EMF", 128: b"DICM"}
_BOXES_NOT_KNOWN: Final = frozenset({b"wide", b"free", b"skip", b"pnot"})
"""The first boxes of QuickTime files before there was ``ftyp``."""
_KNOWN_BRANDS: Final = (
    b"iso", b"mp41", b"mp42", b"mmp4", b"avc1", b"dash", b"M4V", b"M4P", b"3g", b"qt  ", b"mqt", b"F4V ",
    b"NDS", b"niko", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
    b"avif", b"avis", b"avcs",
)  # fmt: skip
"""Major brands of the ISO base media format, or how they begin. libmagic looks at no other brands."""
_BRANDS_OF_SOUND: Final = (b"M4A", b"M4B", b"MSNV")
"""The last one is of Sony's videos."""
_SOUNDS: Final = (b".snd", b"MThd", b"\x0b\x77")
"""AU, MIDI and AC-3, which are not looked for elsewhere."""
_IMAGES: Final = (b"SIMPLE  =", b"/* XPM */")
"""FITS and XPM, likewise."""

_TS_PACKETS: Final = ((0, 188), (4, 196))
"""Where the first two packets of a transport stream begin; those of camcorders have a time stamp before."""
_FIRST_TABLE: Final = 0x47400010
_FIRST_TABLE_BITS: Final = 0xFF5FFF10
"""A packet with the beginning of the program association table, which has to be the first one."""

_TEXT: Final = bytes({7, 8, 9, 10, 12, 13, 27, *range(32, 127), *range(128, 256)})
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_MIN_TEXT: Final = 2
_DOCUMENTS: Final = (b"%PDF-", b"%!PS")
_URL: Final = re.compile(rb"\s*https?://(?:[a-zA-Z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9a-fA-F]{2})+\s*")
_JSON_LIMIT: Final = 7 * 1024 * 1024
"""Bytes; libmagic parses no more either."""


def server_media_type(file: Path) -> ServerMediaType:
    """Tell the media type of a file by its content.

    Args:
        file: The file.

    Returns:
        The type as a real server would say it; ``"file"`` for an empty file.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    return _media(file, head) or _other(file, head)


def _media(file: Path, head: bytes) -> ServerMediaType | None:
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if head.startswith(_SOUNDS) or brand.startswith(_BRANDS_OF_SOUND):
        return "audio"
    if head.startswith(_IMAGES):
        return "image"
    if not _is_known(head, brand):
        return None
    kind = detect_media_type(file)
    if kind != "unknown":
        return kind
    return "image" if _is_damaged_image(file, head) else None


def _is_known(head: bytes, brand: bytes) -> bool:
    """Tell whether libmagic would know a file if it is media."""
    if brand:
        return brand.startswith(_KNOWN_BRANDS)
    if type_of_media(head) == "video/mp2t":
        return _begins_with_table(head)
    return not (
        head.startswith(_NOT_KNOWN)
        or head[4:8] in _BOXES_NOT_KNOWN
        or any(head.startswith(mark, at) for at, mark in _NOT_KNOWN_LATER.items())
    )


def _begins_with_table(head: bytes) -> bool:
    return any(
        int.from_bytes(head[first : first + 4]) & _FIRST_TABLE_BITS == _FIRST_TABLE
        and head[second : second + 1] == b"G"
        for first, second in _TS_PACKETS
    )


def _is_damaged_image(file: Path, head: bytes) -> bool:
    """Tell whether a file begins like an image, although it cannot be opened as one."""
    unsupported = unsupported_kind(file)
    if unsupported is not None:
        return not is_document(unsupported)
    media_type = type_of_media(head)
    return (media_type is not None and media_type.startswith("image/")) or supported_kind(file) is not None


def _other(file: Path, head: bytes) -> ServerMediaType:
    if not _is_text(head) or head.startswith(_DOCUMENTS) or _is_json(file, head):
        return "file"
    return "url" if len(head) < _HEAD_BYTES and _is_url(head) else "text"


def _is_text(head: bytes) -> bool:
    return len(head) >= _MIN_TEXT and (head.startswith(_UTF_16) or not head.translate(None, _TEXT))


def _is_url(content: bytes) -> bool:
    return b"\n" not in content and b"\r" not in content and _URL.fullmatch(content) is not None


def _is_json(file: Path, head: bytes) -> bool:
    """Tell whether a file is a JSON object or list, or one in each line."""
    if not head.lstrip().startswith((b"{", b"[")):
        return False
    with file.open("rb") as stream:
        content = stream.read(_JSON_LIMIT + 1)
    if len(content) > _JSON_LIMIT:
        return False
    return _parses(content) or all(_parses(line) for line in content.splitlines())


def _parses(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
