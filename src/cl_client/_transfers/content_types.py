"""MIME types by content.

Media are recognized here, by their signatures: puremagic takes AVIF for video, and JPEG 2000 for JPEG. It is
used for all other files. `INTERNALS.md` has a comparison with other libraries.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the tables below
from typing import Final

UNKNOWN_TYPE: Final = "application/octet-stream"

_SIGNATURES: Final[Mapping[bytes, str]] = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"\xff\x0a": "image/jxl",  # ISO/IEC 18181-2: a bare codestream, or in boxes
    b"\0\0\0\x0cJXL \r\n\x87\n": "image/jxl",
    b"#?RADIANCE\n": "image/vnd.radiance",
    b"\xff\x4f\xff\x51": "image/j2c",  # ISO/IEC 15444-1: SOC and SIZ
    b"II*\0\x10\0\0\0CR\x02": "image/x-canon-cr2",  # RAW as ExifTool and LibRaw tell it
    b"II\x1a\0\0\0HEAPCCDR": "image/x-canon-crw",
    b"IIRO": "image/x-olympus-orf",
    b"IIRS": "image/x-olympus-orf",
    b"MMOR": "image/x-olympus-orf",
    b"IIU\0": "image/x-panasonic-rw2",
    b"\0MRM": "image/x-minolta-mrw",
    b"FUJIFILMCCD-RAW": "image/x-fujifilm-raf",
    b"FOVb": "image/x-sigma-x3f",
    b"\0\0\x01\xba": "video/mpeg",  # ISO/IEC 13818-1: a program stream; ISO/IEC 13818-2: a bare video stream
    b"\0\0\x01\xb3": "video/mpeg",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02": "application/mxf",  # SMPTE 377
    b"\xff\xf1": "audio/aac",  # ISO/IEC 13818-7: ADTS
    b"\xff\xf9": "audio/aac",
}
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Not among the signatures: most cameras' RAW files are TIFF too, and their names say more."""

_BRANDS: Final[Mapping[bytes, str]] = {
    # ISO/IEC 23008-12, annexes B to F, and the AVIF specification
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic-sequence"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    b"avci": "image/avci",
    b"avcs": "image/avcs",
    b"crx ": "image/x-canon-cr3",
    b"jp2 ": "image/jp2",
    b"jpx ": "image/jpx",
    b"jpm ": "image/jpm",
    b"mjp2": "video/mj2",
    b"qt  ": "video/quicktime",
    b"M4V": "video/x-m4v",
    **dict.fromkeys((b"M4A", b"M4B", b"M4P"), "audio/mp4"),
    **dict.fromkeys((b"3gp", b"3gr", b"3gs", b"3ge", b"3gg"), "video/3gpp"),
    b"3g2": "video/3gpp2",
    **dict.fromkeys((b"iso", b"mp4", b"avc"), "video/mp4"),
}
"""Brands of the ISO base media format, or their first three letters, from the list at https://mp4ra.org."""
_ANY_IMAGE: Final[Mapping[bytes, str]] = {
    b"mif1": "image/heif",
    b"mif2": "image/heif",
    b"miaf": "image/heif",
    b"msf1": "image/heif-sequence",
}
"""Brands of images, which do not name a coding."""
_SIGNATURE_BOX_BYTES: Final = 12
"""JPEG 2000 has a box before the brands: ``\\0\\0\\0\\x0cjP  \\r\\n\\x87\\n``."""

_TS_SYNC: Final = 0x47
_TS_PACKETS: Final = (188, 192, 204)
"""ISO/IEC 13818-1; with the time stamps of AVCHD and Blu-ray; with error correction."""
_TS_MIN_PACKETS: Final = 5


def type_of_media(head: bytes) -> str | None:
    """Tell the MIME type of media by its signature.

    Args:
        head: The first bytes of the file; 4 KiB are enough.

    Returns:
        The type; None for media without a signature of its own, and for anything else.
    """
    for signature, media_type in _SIGNATURES.items():
        if head.startswith(signature):
            return media_type
    return _type_of_brands(head) or ("video/mp2t" if _is_transport_stream(head) else None)


def type_of_content(head: bytes) -> str:
    """Tell the MIME type of any file. The first call imports puremagic.

    Args:
        head: The first bytes of the file; 4 KiB are enough.

    Returns:
        The type, ``application/octet-stream`` if it is not known.
    """
    if known := type_of_media(head):
        return known
    if head.startswith(_TIFF):
        return "image/tiff"
    import puremagic

    try:
        found = puremagic.from_string(head, mime=True)  # pyright: ignore[reportUnknownMemberType] - a bare PathLike
    except (puremagic.PureError, ValueError):
        return UNKNOWN_TYPE
    return found or UNKNOWN_TYPE


def _type_of_brands(head: bytes) -> str | None:
    """Read the box ``ftyp`` of ISO/IEC 14496-12: the major brand, its version, and the compatible brands."""
    start = _SIGNATURE_BOX_BYTES if head[4:8] == b"jP  " else 0
    if head[start + 4 : start + 8] != b"ftyp":
        return None
    box = head[start : start + int.from_bytes(head[start : start + 4])]
    major, compatible = box[8:12], [box[at : at + 4] for at in range(16, len(box) - 3, 4)]
    types = [_BRANDS.get(brand) or _BRANDS.get(brand[:3]) for brand in (major, *compatible)]
    if major in _ANY_IMAGE:
        default = _ANY_IMAGE[major]
        images = [found for found in types if found is not None and found.startswith("image/")]
        same = [found for found in images if found.endswith("-sequence") == default.endswith("-sequence")]
        return next(iter(same or images), default)
    return next(filter(None, types), "video/mp4")


def _is_transport_stream(head: bytes) -> bool:
    """Look for the sync byte of each packet; a recording may begin within a packet."""
    for length in _TS_PACKETS:
        start = head.find(_TS_SYNC, 0, length)
        while start >= 0:
            marks = head[start::length]
            if len(marks) >= _TS_MIN_PACKETS and marks.count(_TS_SYNC) == len(marks):
                return True
            start = head.find(_TS_SYNC, start + 1, length)
    return False
