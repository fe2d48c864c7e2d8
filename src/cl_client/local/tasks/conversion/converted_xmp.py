"""The XMP that a converted image keeps.

What is no longer correct is cut out of the packet; the rest stays byte for byte, so that prefixes, order and
values remain as the user's program wrote them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.formats import xmp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CAMERA: Final = "http://ns.google.com/photos/1.0/camera/"
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
        (xmp.TIFF, name): ""
        for name in (
            "BitsPerSample", "Compression", "ImageLength", "ImageWidth", "NativeDigest", "Orientation",
            "PhotometricInterpretation", "PlanarConfiguration", "SamplesPerPixel", "YCbCrPositioning",
            "YCbCrSubSampling",
        )
    },
    **{
        (xmp.EXIF, name): ""
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
    (xmp.PHOTOSHOP, "ColorMode"): "",
    (xmp.PHOTOSHOP, "ICCProfile"): "",
    ("http://purl.org/dc/elements/1.1/", "format"): "",
    (xmp.BASIC, "Thumbnails"): "embedded preview",
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"): "extended XMP",
}  # fmt: skip
"""Properties about the file or its pixels as they were, with the word for the loss if it is one."""

_PLACES_IN_THE_IMAGE: Final[Mapping[tuple[str, str], str]] = {
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"): "image regions",
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"): "image regions",
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"): "image regions",
    (xmp.EXIF, "SubjectArea"): "",
    (xmp.EXIF, "SubjectLocation"): "",
}
"""Properties that hold positions of faces and the like, which are others in a turned image."""


def kept_xmp(packet: bytes, *, turned: bool, dropped: set[str]) -> bytes:
    """Take over an XMP packet.

    Args:
        packet: The packet as stored.
        turned: Whether the copy is turned or mirrored.
        dropped: Collects what is not kept: all of it where the packet is not valid.

    Returns:
        The packet without the properties that are no longer correct; empty if none is left.
    """
    packet = packet.strip(b"\0")
    try:
        found = xmp.read_xmp(packet)
    except ValueError:
        dropped.add("XMP")
        return b""
    stale = [one for one in found if _loss(one, turned=turned) is not None]
    dropped |= {loss for one in stale if (loss := _loss(one, turned=turned))}
    return _without(packet, stale) if len(stale) < len(found) else b""


def shortened_xmp(packet: bytes, max_bytes: int) -> bytes:
    """Make a packet fit into a JPEG's segment: leave out its longest properties, such as edit histories.

    Args:
        packet: The packet.
        max_bytes: The most that it may have.

    Returns:
        The rest; empty if it does not fit without them either.
    """
    try:
        found = xmp.read_xmp(packet)
    except ValueError:
        return b""
    left_out: list[xmp.Property] = []
    length = len(packet)
    for one in sorted(found, key=lambda one: one.start - one.end):
        if length <= max_bytes:
            break
        left_out.append(one)
        length -= one.end - one.start
    shortened = _without(packet, left_out)
    return shortened if len(shortened) <= max_bytes else b""


def _loss(one: xmp.Property, *, turned: bool) -> str | None:
    """Return the word for the loss of a stale property, which may be empty; None if the property is kept."""
    name = (one.namespace, one.name)
    loss = _STALE_NAMES.get(name, _STALE_NAMESPACES.get(one.namespace))
    if loss is None and turned:
        loss = _PLACES_IN_THE_IMAGE.get(name)
    return "" if loss == "motion video" and one.value == "0" else loss


def _without(packet: bytes, properties: Iterable[xmp.Property]) -> bytes:
    rest: list[bytes] = []
    at = 0
    for one in sorted(properties, key=lambda one: one.start):
        rest.append(packet[at : one.start])
        at = one.end
    return b"".join((*rest, packet[at:]))
