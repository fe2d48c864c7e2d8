"""What an image file says about its picture, read from every format for a converted copy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from PIL import ExifTags, JpegImagePlugin, PngImagePlugin, PsdImagePlugin
from pydantic import TypeAdapter, ValidationError

from cl_client.local.tasks.conversion.converted_exif import exif_in_block, exif_in_tiff
from cl_client.local.tasks.conversion.converted_xmp import kept_xmp
from cl_client.local.tasks.formats import photoshop_resources, tiff
from cl_client.local.tasks.formats.tiff import TiffReader
from cl_client.local.tasks.images.orientation import orientation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from PIL.ImageFile import ImageFile

    from cl_client.local.tasks.conversion.converted_exif import KeptExif
    from cl_client.local.tasks.formats.tiff import Field

_TIFF_FORMATS: Final = frozenset({"TIFF", "RAW"})
_IPTC_START: Final = 0x1C
_XMP_KEYWORD: Final = "XML:com.adobe.xmp"
_GIF_XMP: Final = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_END: Final = b"\x01\xff\xfe\xfd"
"""The application extension of XMP, and the trailer behind a packet (XMP specification, part 3, 1.1.2)."""
_MAX_GIF_XMP: Final = 16 * 2**20
_GAIN_MAP_MARK: Final = b"urn:iso:std:iso:ts:21496:-1"
"""The start of an APP2 segment of a JPEG with a gain map (ISO 21496-1)."""
_PROFILES_IN_TEXT: Final = {"exif": "exif", "APP1": "exif", "xmp": "xmp", "iptc": "iptc"}
"""The text chunks in which older programs store metadata as hexadecimal digits: "Raw profile type exif"."""
_AUXILIARY: Final = (("hdrgainmap", "gain map"), ("depth", "depth map"), ("auxid:2", "depth map"))
_ALPHA: Final = ("alpha", "auxid:1")
_SEGMENTS = TypeAdapter(list[tuple[str, bytes]])
_RESOURCES = TypeAdapter(list[tuple[int, bytes, bytes]])


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a copy can take over.

    Attributes:
        exif: The EXIF.
        xmp: The XMP packet.
        resources: IPTC and what belongs to it, by the numbers of Photoshop's image resources.
        comment: The comment of a JPEG or GIF.
        texts: The texts of a PNG by their keywords, other than XMP.
        dpi: The resolution for printing.
    """

    exif: KeptExif | None = None
    xmp: bytes = b""
    resources: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    comment: bytes = b""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of a file as stored; an empty one is not there."""

    exif: bytes = b""
    xmp: bytes = b""
    resources: Mapping[int, bytes] = field(default_factory=dict[int, bytes])


def read_metadata(image: ImageFile, file: Path, dropped: set[str]) -> Metadata:
    """Read what the image's format holds of EXIF, XMP, IPTC and texts.

    Args:
        image: The opened image.
        file: The same as a file.
        dropped: Collects what no copy can have, as the pixels or the file are others.

    Returns:
        What a copy can take over. What is damaged is left out.
    """
    turned = _is_turned(image)
    blocks = _blocks(image, file)
    exif: KeptExif | None = None
    if image.format == "TIFF" or (image.format == "RAW" and not blocks.exif):  # most raw files are TIFFs
        with file.open("rb") as stream:
            exif = exif_in_tiff(stream, turned=turned, dropped=dropped)
    elif blocks.exif:
        exif = exif_in_block(blocks.exif, turned=turned, dropped=dropped)
    if not photoshop_resources.PREVIEWS.isdisjoint(blocks.resources):
        dropped.add("embedded preview")
    _note_other_images(image, dropped)
    return Metadata(
        exif,
        kept_xmp(blocks.xmp, turned=turned, dropped=dropped) if blocks.xmp.strip(b"\0") else b"",
        photoshop_resources.kept_resources(blocks.resources),
        _bytes(image.info.get("comment")) if image.format in {"JPEG", "MPO", "GIF"} else b"",
        _texts(image),
        _dpi(image),
    )


def _is_turned(image: ImageFile) -> bool:
    if orientation(image) != 1:
        return True
    stored: object = image.info.get("original_orientation")  # HEIF is turned already
    if image.format in _TIFF_FORMATS:
        stored = image.getexif().get(ExifTags.Base.Orientation)  # and so are these
    return isinstance(stored, int) and stored in range(2, 9)


def _blocks(image: ImageFile, file: Path) -> _Blocks:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _jpeg_blocks(image)
    if image.format in _TIFF_FORMATS:
        return _tiff_blocks(image, file)
    if isinstance(image, PsdImagePlugin.PsdImageFile):
        stored = _RESOURCES.validate_python(cast("object", image.resources))
        resources = {number: content for number, _, content in reversed(stored)}
        return _Blocks(
            resources.get(photoshop_resources.EXIF, b""),
            resources.get(photoshop_resources.XMP, b""),
            resources,
        )
    if image.format == "GIF":
        return _Blocks(xmp=_gif_xmp(file))
    exif, xmp = _bytes(image.info.get("exif")), _bytes(image.info.get("xmp"))
    profiles = _profiles_in_text(image)
    return _Blocks(
        exif or profiles.get("exif", b""),
        xmp or profiles.get("xmp", b"") or _text(image, _XMP_KEYWORD).encode("latin-1", "replace"),
        photoshop_resources.read_resources(profiles.get("iptc", b"")),
    )


def _jpeg_blocks(image: JpegImagePlugin.JpegImageFile) -> _Blocks:
    mark = photoshop_resources.SEGMENT_MARK
    segments = _SEGMENTS.validate_python(image.applist)
    parts = [
        content.removeprefix(mark)
        for name, content in segments
        if name == "APP13" and content.startswith(mark)
    ]
    resources = photoshop_resources.read_resources(b"".join(parts))
    return _Blocks(_bytes(image.info.get("exif")), _bytes(image.info.get("xmp")), resources)


def _tiff_blocks(image: ImageFile, file: Path) -> _Blocks:
    """Read the blocks of the first directory, which may be another than that of the picture: a preview."""
    # A raw file that is no TIFF has that of its preview. A TIFF's own stands in its directories.
    exif = _bytes(image.info.get("exif")) if image.format == "RAW" else b""
    with file.open("rb") as stream:
        try:
            reader = TiffReader(stream)
        except ValueError:
            return _Blocks(exif, _bytes(image.info.get("xmp")))
        fields = reader.fields(reader.first, {tiff.XMP, tiff.IPTC, tiff.PHOTOSHOP})
    xmp = fields.get(tiff.XMP)
    return _Blocks(
        exif, _bytes(image.info.get("xmp")) if xmp is None else xmp.content, _tiff_resources(fields)
    )


def _tiff_resources(fields: Mapping[int, Field]) -> dict[int, bytes]:
    blocks = fields.get(tiff.PHOTOSHOP)
    resources = photoshop_resources.read_resources(blocks.content) if blocks is not None else {}
    iptc = fields.get(tiff.IPTC)
    if iptc is not None:
        content = iptc.content
        if content[3:4] == bytes((_IPTC_START,)) and content[0] != _IPTC_START:
            # Some programs store it as numbers of 4 bytes and swap those.
            content = b"".join(content[at : at + 4][::-1] for at in range(0, len(content), 4))
        resources[photoshop_resources.IPTC] = content.rstrip(b"\0")
    return resources


def _gif_xmp(file: Path) -> bytes:
    with file.open("rb") as stream:
        _, mark, rest = stream.read(_MAX_GIF_XMP).partition(_GIF_XMP)
    return rest.partition(_GIF_XMP_END)[0] if mark else b""


def _profiles_in_text(image: ImageFile) -> dict[str, bytes]:
    profiles: dict[str, bytes] = {}
    for name, kind in _PROFILES_IN_TEXT.items():
        digits = _text(image, f"Raw profile type {name}").split(maxsplit=2)[2:]  # after name and length
        try:
            profiles.setdefault(kind, bytes.fromhex("".join(digits)))
        except ValueError:
            continue
    return profiles


def _text(image: ImageFile, keyword: str) -> str:
    text: object = image.info.get(keyword)
    return text if isinstance(text, str) else ""


def _texts(image: ImageFile) -> dict[str, str]:
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return {}
    try:
        texts = TypeAdapter(dict[str, str]).validate_python(image.text)
    except ValidationError:
        return {}
    return {
        keyword: text
        for keyword, text in texts.items()
        if keyword != _XMP_KEYWORD
        and keyword.removeprefix("Raw profile type ") not in _PROFILES_IN_TEXT
        and text
    }


def _note_other_images(image: ImageFile, dropped: set[str]) -> None:
    if image.format == "RAW":
        dropped.add("raw data")
    if image.info.get("depth_images"):
        dropped.add("depth map")
    if image.info.get("thumbnails"):
        dropped.add("embedded preview")
    auxiliary: object = image.info.get("aux")
    for kind in TypeAdapter(dict[str, object]).validate_python(auxiliary) if auxiliary else ():
        if not any(alpha in kind for alpha in _ALPHA):
            dropped.add(next((word for part, word in _AUXILIARY if part in kind), "auxiliary images"))
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        segments = _SEGMENTS.validate_python(image.applist)
        if any(content.startswith(_GAIN_MAP_MARK) for name, content in segments if name == "APP2"):
            dropped.add("gain map")


def _dpi(image: ImageFile) -> tuple[float, float] | None:
    dpi: object = image.info.get("dpi")
    try:
        width, height = TypeAdapter(tuple[float, float]).validate_python(dpi)
    except ValidationError:
        return None
    return (width, height) if 1 <= width <= 0xFFFF and 1 <= height <= 0xFFFF else None  # noqa: PLR2004 - what all formats can store


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
