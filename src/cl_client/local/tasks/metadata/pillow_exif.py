"""An image's metadata read by Pillow, with ExifTool's keys and units, for use without ExifTool."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from PIL import ExifTags
from PIL.TiffImagePlugin import IFDRational

from cl_client.local.tasks.media.images import DAMAGE_ERRORS, SWAPPED_ORIENTATIONS, open_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from PIL.ImageFile import ImageFile
    from pydantic import JsonValue

    from cl_client.models import JSONObject

_EXIFTOOL_NAMES: Final[Mapping[str, str]] = {
    "BodySerialNumber": "SerialNumber",
    "DateTime": "ModifyDate",
    "DateTimeDigitized": "CreateDate",
    "ExposureBiasValue": "ExposureCompensation",
    "FocalLengthIn35mmFilm": "FocalLengthIn35mmFormat",
    "ISOSpeedRatings": "ISO",
    "ImageLength": "ImageHeight",
    "LensSpecification": "LensInfo",
}
"""ExifTool's names of the tags that the EXIF standard names differently."""
_STRUCTURE_TAGS: Final = frozenset(
    {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop, ExifTags.IFD.MakerNote}
)
_SIGNIFICANT_DIGITS: Final = 10
"""The precision with which ExifTool writes a rational number."""
_SHORT_BYTES: Final = 8
"""Up to this length bytes are written as numbers, such as the order of the colour components."""
_CHARACTER_CODE_LENGTH: Final = 8
"""UserComment starts with the name of its character code, for instance ``ASCII\\0\\0\\0``."""


def read_with_pillow(file: Path, warn: Callable[[str], None]) -> JSONObject:
    """Read the metadata of an image; damaged EXIF is skipped.

    Args:
        file: The image.
        warn: Called with each problem of the image that does not prevent reading its metadata.

    Returns:
        Keys with ExifTool's group prefix, for instance ``EXIF:Make``; numeric values as numbers.

    Raises:
        TaskFailedError: The file is not an image that Pillow can read.
    """
    with open_picture(file, warn) as image:
        exif = _exif_items(image)
        turned: object = image.info.get("original_orientation")  # of a HEIC, which is opened upright
        if isinstance(turned, int):
            exif["EXIF:Orientation"] = turned
        width, height = _stored_size(image, exif)
        raw: JSONObject = {
            "File:FileName": file.name,
            "File:FileSize": file.stat().st_size,
            "File:FileType": image.format,
            "File:MIMEType": image.get_format_mimetype(),
            "File:ImageWidth": width,
            "File:ImageHeight": height,
            **exif,
        }
    return raw | _composite(raw)


def _stored_size(image: ImageFile, exif: Mapping[str, JsonValue]) -> tuple[int, int]:
    """Return the size as stored: Pillow returns that of a HEIC or TIFF after turning it upright."""
    width, height = image.size
    turned = image.format in {"HEIF", "TIFF"} and exif.get("EXIF:Orientation") in SWAPPED_ORIENTATIONS
    return (height, width) if turned else (width, height)


def _exif_items(image: ImageFile) -> dict[str, JsonValue]:
    """Read all tags with a standard name, up to the first damaged part."""
    found: dict[str, JsonValue] = {}
    with suppress(*DAMAGE_ERRORS):
        exif = image.getexif()
        found |= _named(exif, ExifTags.TAGS)
        found |= _named(exif.get_ifd(ExifTags.IFD.Exif), ExifTags.TAGS)
        found |= _named(exif.get_ifd(ExifTags.IFD.GPSInfo), ExifTags.GPSTAGS)
    return found


def _named(directory: Mapping[int, object], names: Mapping[int, str]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for tag, value in directory.items():
        name = names.get(tag)
        if name is None or tag in _STRUCTURE_TAGS:
            continue
        readable = _readable(name, value)
        if readable is not None:
            found[f"EXIF:{_EXIFTOOL_NAMES.get(name, name)}"] = readable
    return found


def _readable(name: str, value: object) -> JsonValue:
    """Convert a tag's value to ExifTool's format; None if it has no meaning, such as a division by zero."""
    if isinstance(value, tuple):
        return _readable_list(name, cast("tuple[object, ...]", value))
    if isinstance(value, bytes):
        return _readable_bytes(name, value)
    if isinstance(value, str):
        return _utf8(value).strip(" \0")
    return _number(value)


def _readable_list(name: str, values: tuple[object, ...]) -> JsonValue:
    numbers = [_number(value) for value in values]
    if name in {"GPSLatitude", "GPSLongitude"}:
        return _degrees(numbers)
    present = [str(number) for number in numbers if number is not None]
    if name == "GPSTimeStamp":
        return ":".join(part.zfill(2) for part in present)
    return " ".join(present) if len(present) == len(values) else None


def _degrees(parts: Sequence[float | None]) -> float | None:
    """Convert degrees, minutes and seconds to degrees."""
    present = [part for part in parts if part is not None]
    if not present or len(present) != len(parts):
        return None
    return sum(part / 60**power for power, part in enumerate(present))


def _readable_bytes(name: str, value: bytes) -> JsonValue:
    if name.startswith("XP"):
        return value.decode("utf-16-le", errors="replace").rstrip("\0")
    if name == "UserComment":
        value = value[_CHARACTER_CODE_LENGTH:]
    text = value.rstrip(b"\0 ")
    if text.isascii() and text.decode("ascii").isprintable() and (text or not value):
        return text.decode("ascii")
    if len(value) == 1:
        return value[0]
    if len(value) <= _SHORT_BYTES:
        return " ".join(str(byte) for byte in value)
    return f"(Binary data {len(value)} bytes)"


def _utf8(text: str) -> str:
    """Decode text as UTF-8, if possible: Pillow reads it as Latin-1, but non-ASCII text is mostly UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _number(value: object) -> int | float | None:
    """Convert to an integer if it is one, otherwise round as ExifTool does."""
    if not isinstance(value, int | float | IFDRational):
        return None
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else float(f"{number:.{_SIGNIFICANT_DIGITS}g}")


def _composite(raw: JSONObject) -> JSONObject:
    """Add the tags that ExifTool derives: the size, and the GPS position with signs instead of references."""
    derived: JSONObject = {"Composite:ImageSize": f"{raw['File:ImageWidth']} {raw['File:ImageHeight']}"}
    for name, negative in (("GPSLatitude", "S"), ("GPSLongitude", "W"), ("GPSAltitude", 1)):
        value = raw.get(f"EXIF:{name}")
        if isinstance(value, int | float):
            derived[f"Composite:{name}"] = -value if raw.get(f"EXIF:{name}Ref") == negative else value
    return derived
