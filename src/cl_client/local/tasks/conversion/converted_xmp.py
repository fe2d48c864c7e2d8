"""The XMP that a converted image keeps.

What is no longer correct is cut out of the packet; the rest stays byte for byte, so that prefixes, order and
values remain as the user's program wrote them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_BYTES: Final = 16 * 2**20
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_CAMERA: Final = "http://ns.google.com/photos/1.0/camera/"
_EXIF: Final = "http://ns.adobe.com/exif/1.0/"
_TIFF: Final = "http://ns.adobe.com/tiff/1.0/"
_PHOTOSHOP: Final = "http://ns.adobe.com/photoshop/1.0/"
_GAIN_MAP: Final = "http://ns.adobe.com/hdr-gain-map/1.0/"
_APPLE_GAIN_MAP: Final = "http://ns.apple.com/HDRGainMap/1.0/"
_DEPTH_MAP: Final = "http://ns.google.com/photos/1.0/depthmap/"

_STALE_NAMESPACES: Final[Mapping[str, str]] = {
    _GAIN_MAP: "gain map",
    _APPLE_GAIN_MAP: "gain map",
    _DEPTH_MAP: "depth map",
    "http://ns.google.com/photos/1.0/image/": "other images",
    "http://ns.google.com/photos/1.0/audio/": "sound",
    "http://ns.google.com/photos/1.0/container/": "",
    "http://ns.apple.com/pixeldatainfo/1.0/": "",
}
"""Namespaces about other data in the same file, which the copy does not have, with the word for the loss."""

_STALE_NAMES: Final[Mapping[tuple[str, str], str]] = {
    **{
        (_TIFF, name): ""
        for name in (
            "BitsPerSample", "Compression", "ImageLength", "ImageWidth", "NativeDigest", "Orientation",
            "PhotometricInterpretation", "PlanarConfiguration", "SamplesPerPixel", "YCbCrPositioning",
            "YCbCrSubSampling",
        )
    },
    **{
        (_EXIF, name): ""
        for name in ("CompressedBitsPerPixel", "NativeDigest", "PixelXDimension", "PixelYDimension")
    },
    **{(_CAMERA, name): "motion video" for name in ("MicroVideo", "MotionPhoto")},
    **{
        (_CAMERA, name): ""
        for name in (
            "MicroVideoOffset", "MicroVideoPresentationTimestampUs", "MicroVideoVersion",
            "MotionPhotoPresentationTimestampUs", "MotionPhotoVersion",
        )
    },
    (_PHOTOSHOP, "ColorMode"): "",
    (_PHOTOSHOP, "ICCProfile"): "",
    ("http://purl.org/dc/elements/1.1/", "format"): "",
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"): "embedded preview",
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"): "extended XMP",
}  # fmt: skip
"""Properties about the file or its pixels as they were, with the word for the loss if it is one."""

_PLACES_IN_THE_IMAGE: Final[Mapping[tuple[str, str], str]] = {
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"): "image regions",
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"): "image regions",
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"): "image regions",
    (_EXIF, "SubjectArea"): "",
    (_EXIF, "SubjectLocation"): "",
}
"""Properties that hold positions of faces and the like, which are others in a turned image."""

_TAG: Final = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")


def kept_xmp(packet: bytes, *, turned: bool, dropped: set[str]) -> bytes:
    """Take over an XMP packet.

    Args:
        packet: The packet as stored.
        turned: Whether the copy is turned or mirrored.
        dropped: Collects what is not kept: all of it where the packet is not valid.

    Returns:
        The packet without the properties that are no longer correct; empty if none is left.
    """
    properties = _properties(packet.strip(b"\0"))
    if properties is None:
        dropped.add("XMP")
        return b""
    stale = [one for one in properties.found if _loss(one, turned=turned) is not None]
    dropped |= {loss for one in stale if (loss := _loss(one, turned=turned))}
    return _without(properties.packet, stale) if len(stale) < len(properties.found) else b""


def shortened_xmp(packet: bytes, max_bytes: int) -> bytes:
    """Make a packet fit into a JPEG's segment: leave out its longest properties, such as edit histories.

    Args:
        packet: The packet.
        max_bytes: The most that it may have.

    Returns:
        The rest; empty if it does not fit without them either.
    """
    properties = _properties(packet)
    if properties is None:
        return b""
    left_out: list[_Property] = []
    length = len(packet)
    for one in sorted(properties.found, key=lambda one: one.start - one.end):
        if length <= max_bytes:
            break
        left_out.append(one)
        length -= one.end - one.start
    shortened = _without(properties.packet, left_out)
    return shortened if len(shortened) <= max_bytes else b""


@dataclass(frozen=True, slots=True)
class _Property:
    """A property, as an element or as an attribute, and its place in the packet."""

    namespace: str
    name: str
    start: int
    end: int
    value: str = ""


def _loss(one: _Property, *, turned: bool) -> str | None:
    """Return the word for the loss of a stale property, which may be empty; None if the property is kept."""
    name = (one.namespace, one.name)
    loss = _STALE_NAMES.get(name, _STALE_NAMESPACES.get(one.namespace))
    if loss is None and turned:
        loss = _PLACES_IN_THE_IMAGE.get(name)
    return "" if loss == "motion video" and one.value == "0" else loss


def _without(packet: bytes, properties: Iterable[_Property]) -> bytes:
    rest: list[bytes] = []
    at = 0
    for one in sorted(properties, key=lambda one: one.start):
        rest.append(packet[at : one.start])
        at = one.end
    return b"".join((*rest, packet[at:]))


def _properties(packet: bytes) -> _Packet | None:
    """Find the properties of a packet; None if it is not well-formed, not in UTF-8, or declares entities."""
    if len(packet) > _MAX_BYTES:
        return None
    try:
        packet.decode()
        found = _Packet(packet)
        found.parse()
    except (UnicodeError, expat.ExpatError, ValueError):
        return None
    return found


@dataclass(slots=True)
class _Packet:
    packet: bytes
    found: list[_Property] = field(default_factory=list)
    _path: list[tuple[str, int]] = field(default_factory=list)
    _uris: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _parser: expat.XMLParserType = field(default_factory=lambda: expat.ParserCreate("utf-8", " "))

    def parse(self) -> None:
        parser = self._parser
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartNamespaceDeclHandler = self._start_prefix
        parser.EndNamespaceDeclHandler = self._end_prefix
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.Parse(self.packet, True)  # noqa: FBT003 - expat takes it by position

    def _refuse(self, *_: object) -> None:
        raise ValueError("XMP has no DOCTYPE")  # and so no entities that expand without end

    def _start_prefix(self, prefix: str | None, uri: str) -> None:
        self._uris.setdefault(prefix or "", []).append(uri)

    def _end_prefix(self, prefix: str | None) -> None:
        self._uris[prefix or ""].pop()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        if name == f"{_RDF} Description" and self._path and self._path[-1][0] == f"{_RDF} RDF":
            self._find_attributes(at, attributes)
        self._path.append((name, at))

    def _end(self, name: str) -> None:
        _, start = self._path.pop()
        names = [name for name, _ in self._path[-2:]]
        if names == [f"{_RDF} RDF", f"{_RDF} Description"]:
            end = self._tag_end(self._parser.CurrentByteIndex)  # of an empty element, <a/>, still its start
            namespace, _, local = name.rpartition(" ")
            self.found.append(_Property(namespace, local, start, end))

    def _find_attributes(self, start: int, attributes: dict[str, str]) -> None:
        for match in _ATTRIBUTE.finditer(self.packet, start, self._tag_end(start)):
            prefix, colon, local = match.group(1).decode().partition(":")
            uris = self._uris.get(prefix)
            uri = uris[-1] if uris else ""
            if colon and prefix != "xmlns" and uri not in {"", _RDF}:
                value = attributes.get(f"{uri} {local}", "")
                self.found.append(_Property(uri, local, match.start(), match.end(), value))

    def _tag_end(self, start: int) -> int:
        match = _TAG.match(self.packet, start)
        return match.end() if match else start
