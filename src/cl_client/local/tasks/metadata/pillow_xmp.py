"""XMP and IPTC of an image, with ExifTool's keys, for use without ExifTool: only the tags of typed fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from cl_client.plugins.exif_tags import as_latitude, as_longitude, as_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

_EXIF: Final = "http://ns.adobe.com/exif/1.0/"
_EXIF_EX: Final = "http://cipa.jp/exif/1.0/"
_TIFF: Final = "http://ns.adobe.com/tiff/1.0/"
_BASIC: Final = "http://ns.adobe.com/xap/1.0/"
_PHOTOSHOP: Final = "http://ns.adobe.com/photoshop/1.0/"
_DESCRIPTION: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
_ITEM: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"

_DATES: Final[Mapping[str, str]] = {
    f"{{{_EXIF}}}DateTimeOriginal": "DateTimeOriginal",
    f"{{{_EXIF}}}DateTimeDigitized": "DateTimeDigitized",
    f"{{{_PHOTOSHOP}}}DateCreated": "DateCreated",
    f"{{{_BASIC}}}CreateDate": "CreateDate",
}
_TEXTS: Final[Mapping[str, str]] = {
    f"{{{_TIFF}}}Make": "Make",
    f"{{{_TIFF}}}Model": "Model",
    f"{{{_TIFF}}}Software": "Software",
    f"{{{_BASIC}}}CreatorTool": "CreatorTool",
}
_NUMBERS: Final[Mapping[str, str]] = {
    f"{{{_TIFF}}}Orientation": "Orientation",
    f"{{{_EXIF}}}ISOSpeedRatings": "ISO",
    f"{{{_EXIF_EX}}}PhotographicSensitivity": "PhotographicSensitivity",
    f"{{{_EXIF}}}FNumber": "FNumber",
    f"{{{_EXIF}}}ExposureTime": "ExposureTime",
    f"{{{_EXIF}}}FocalLength": "FocalLength",
    f"{{{_EXIF}}}GPSAltitude": "GPSAltitude",
    f"{{{_EXIF}}}GPSAltitudeRef": "GPSAltitudeRef",
}
_LATITUDE: Final = f"{{{_EXIF}}}GPSLatitude"
_LONGITUDE: Final = f"{{{_EXIF}}}GPSLongitude"

_ISO_DATE: Final = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?")
_IPTC_DATES: Final = {55: "DateCreated", 62: "DigitalCreationDate"}
_IPTC_TIMES: Final = {60: "TimeCreated", 63: "DigitalCreationTime"}
_DATA_SET_HEADER: Final = 5
_DATA_SET_MARK: Final = 0x1C
_APPLICATION_RECORD: Final = 2
_EXTENDED: Final = 0x8000


def xmp_tags(packet: bytes) -> dict[str, JsonValue]:
    """Read the tags of an XMP packet.

    Args:
        packet: The packet.

    Returns:
        Keys with the group ``XMP``; empty if there are none.

    Raises:
        ValueError: The packet is not XML, or has a document type, which could define entities without end.
    """
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise ValueError("XMP with a document type")
    try:
        root = ET.fromstring(packet.strip(b"\0 \r\n\t"))  # noqa: S314 - it has no entities
    except ET.ParseError as exc:
        raise ValueError(f"XMP that is not XML ({exc})") from exc
    found: dict[str, JsonValue] = {}
    for name, text in _properties(root):
        key, value = _tag(name, text.strip())
        if key and value is not None:
            found.setdefault(f"XMP:{key}", value)
    return found


def _properties(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield names and texts: XMP has simple properties as attributes or elements, and lists as elements."""
    for description in root.iter(_DESCRIPTION):
        yield from description.attrib.items()
        for element in description:
            item = next(element.iter(_ITEM), element)
            yield element.tag, item.text or ""


def _tag(name: str, text: str) -> tuple[str, JsonValue]:
    if name in _DATES:
        return _DATES[name], _ISO_DATE.sub(
            lambda match: ":".join(filter(None, match.groups())), text, 1
        ).replace("T", " ", 1)
    if name in _TEXTS:
        return _TEXTS[name], text
    if name in _NUMBERS:
        number = as_number(text)
        return _NUMBERS[name], int(number) if number is not None and number.is_integer() else number
    if name == _LATITUDE:
        return "GPSLatitude", as_latitude(text)
    if name == _LONGITUDE:
        return "GPSLongitude", as_longitude(text)
    return "", None


def iptc_dates(data: bytes) -> dict[str, JsonValue]:
    """Read the dates of IPTC (IIM 4.2, record 2).

    Args:
        data: The data sets.

    Returns:
        Keys with the group ``IPTC``; empty if there are none.
    """
    found: dict[str, JsonValue] = {}
    for number, text in _data_sets(data):
        if number in _IPTC_DATES:
            found[f"IPTC:{_IPTC_DATES[number]}"] = re.sub(r"^(\d{4})(\d\d)(\d\d)$", r"\1:\2:\3", text)
        elif number in _IPTC_TIMES:
            time = re.sub(r"^(\d\d)(\d\d)(\d\d)", r"\1:\2:\3", text)
            found[f"IPTC:{_IPTC_TIMES[number]}"] = re.sub(r"([-+]\d\d)(\d\d)$", r"\1:\2", time)
    return found


def _data_sets(data: bytes) -> Iterator[tuple[int, str]]:
    position = 0
    while position + _DATA_SET_HEADER <= len(data) and data[position] == _DATA_SET_MARK:
        record, number = data[position + 1], data[position + 2]
        length = int.from_bytes(data[position + 3 : position + 5])
        if length & _EXTENDED:  # longer than 32 KB, which no date is
            return
        position += _DATA_SET_HEADER
        if record == _APPLICATION_RECORD:
            yield number, data[position : position + length].decode("latin-1").strip("\0 ")
        position += length
