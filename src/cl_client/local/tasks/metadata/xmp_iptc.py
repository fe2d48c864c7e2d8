"""XMP and IPTC of an image, with ExifTool's keys, for use without ExifTool: only the tags of typed fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.formats import xmp
from cl_client.plugins.exif_tags import as_latitude, as_longitude, as_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

_DATES: Final[Mapping[tuple[str, str], str]] = {
    (xmp.EXIF, "DateTimeOriginal"): "DateTimeOriginal",
    (xmp.EXIF, "DateTimeDigitized"): "DateTimeDigitized",
    (xmp.PHOTOSHOP, "DateCreated"): "DateCreated",
    (xmp.BASIC, "CreateDate"): "CreateDate",
}
_TEXTS: Final[Mapping[tuple[str, str], str]] = {
    (xmp.TIFF, "Make"): "Make",
    (xmp.TIFF, "Model"): "Model",
    (xmp.TIFF, "Software"): "Software",
    (xmp.BASIC, "CreatorTool"): "CreatorTool",
}
_NUMBERS: Final[Mapping[tuple[str, str], str]] = {
    (xmp.TIFF, "Orientation"): "Orientation",
    (xmp.EXIF, "ISOSpeedRatings"): "ISO",
    (xmp.EXIF_EX, "PhotographicSensitivity"): "PhotographicSensitivity",
    (xmp.EXIF, "FNumber"): "FNumber",
    (xmp.EXIF, "ExposureTime"): "ExposureTime",
    (xmp.EXIF, "FocalLength"): "FocalLength",
    (xmp.EXIF, "GPSAltitude"): "GPSAltitude",
    (xmp.EXIF, "GPSAltitudeRef"): "GPSAltitudeRef",
}
_LATITUDE: Final = (xmp.EXIF, "GPSLatitude")
_LONGITUDE: Final = (xmp.EXIF, "GPSLongitude")

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
        ValueError: The packet is not valid, as for `read_xmp`.
    """
    found: dict[str, JsonValue] = {}
    for one in xmp.read_xmp(packet.strip(b"\0 \r\n\t")):
        key, value = _tag((one.namespace, one.name), one.value.strip())
        if key and value is not None:
            found.setdefault(f"XMP:{key}", value)
    return found


def _tag(name: tuple[str, str], text: str) -> tuple[str, JsonValue]:
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
