"""An image's metadata read by Pillow, with ExifTool's keys and units, for use without ExifTool."""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from cl_client.local.tasks.formats import photoshop_resources, tiff
from cl_client.local.tasks.formats.raw_kinds import raw_kind
from cl_client.local.tasks.formats.tiff_directories import full_size_directory, tiff_directories
from cl_client.local.tasks.images.damage import DAMAGE_ERRORS
from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.metadata.xmp_iptc import iptc_dates, xmp_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from PIL.ImageFile import ImageFile
    from pydantic import JsonValue

    from cl_client.local.tasks.formats.tiff_directories import TiffDirectory
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
    "SubsecTime": "SubSecTime",
    "SubsecTimeDigitized": "SubSecTimeDigitized",
    "SubsecTimeOriginal": "SubSecTimeOriginal",
}
"""ExifTool's names of the tags that the EXIF standard names differently."""
_STRUCTURE_TAGS: Final = frozenset(
    {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop, ExifTags.IFD.MakerNote}
)
_DIRECTORIES: Final[Mapping[int, Mapping[int, str]]] = {
    0: ExifTags.TAGS,
    ExifTags.IFD.Exif: ExifTags.TAGS,
    ExifTags.IFD.GPSInfo: ExifTags.GPSTAGS,
}
"""The directories, and the names of their tags; 0 is the main one."""
_RAW_TYPES: Final[Mapping[str, str]] = {"DNG": "Adobe DNG"}
_PNG_TEXTS: Final = {"Software": "Software", "Creation Time": "CreationTime"}
_SIGNIFICANT_DIGITS: Final = 10
"""The precision with which ExifTool writes a rational number."""
_MAX_APEX: Final = 100
_SHORT_BYTES: Final = 8
"""Up to this length bytes are written as numbers, such as the order of the colour components."""
_CHARACTER_CODE_LENGTH: Final = 8
"""UserComment starts with the name of its character code, for instance ``ASCII\\0\\0\\0``."""


def read_with_pillow(file: Path, warn: Callable[[str], None]) -> JSONObject:
    """Read the metadata of an image; damaged EXIF is skipped.

    Args:
        file: The image.
        warn: Called with each problem of the metadata.

    Returns:
        Keys with ExifTool's group prefix, for instance ``EXIF:Make``; numeric values as numbers.

    Raises:
        TaskFailedError: The file is not an image that Pillow can read.
    """
    directories = tiff_directories(file)
    raw = _of_tiff(file, directories, warn) if directories else _of_picture(file, warn)
    return raw | _composite(raw)


def _of_tiff(file: Path, directories: Sequence[TiffDirectory], warn: Callable[[str], None]) -> JSONObject:
    """Read the tags of the first directory, and the size of the full picture: raw files are TIFF too."""
    exif = Image.Exif()
    with file.open("rb") as stream, _damage_reported(warn):
        with _damage_skipped("EXIF", warn):
            exif.load_from_fp(stream)
        items = _exif_items(exif, warn)
        xmp, iptc = (_stored_bytes(exif.get(tag)) for tag in (tiff.XMP, tiff.IPTC))
    full = full_size_directory(directories) or directories[0]
    kind = raw_kind(file, directories)
    format_name = kind.rpartition(" ")[2] if kind else "TIFF"
    mime_type = f"image/x-{_RAW_TYPES.get(kind, kind).lower().replace(' ', '-')}" if kind else "image/tiff"
    return {
        **_file_items(file, format_name, mime_type, (full.width, full.height)),
        **items,
        **_other_items(xmp, iptc, warn),
    }


def _of_picture(file: Path, warn: Callable[[str], None]) -> JSONObject:
    with open_picture(file, warn) as image:
        exif = Image.Exif()
        data: object = image.info.get("exif")
        with _damage_reported(warn):
            with _damage_skipped("EXIF", warn):
                if isinstance(data, bytes):  # parsed again: the warnings of the first time are lost
                    exif.load(data)
                else:
                    exif = image.getexif()
            items = _exif_items(exif, warn)
        turned: object = image.info.get("original_orientation")  # of a HEIC, which is opened upright
        if isinstance(turned, int):
            items["EXIF:Orientation"] = turned
        xmp: object = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        return {
            **_file_items(file, image.format, image.get_format_mimetype(), image.size),
            **items,
            **_other_items(_stored_bytes(xmp), _photoshop_iptc(image), warn),
            **_png_items(image),
        }


def _file_items(
    file: Path, format_name: str | None, mime_type: str | None, size: tuple[int, int]
) -> dict[str, JsonValue]:
    return {
        "File:FileName": file.name,
        "File:FileSize": file.stat().st_size,
        "File:FileType": format_name,
        "File:MIMEType": mime_type,
        "File:ImageWidth": size[0],
        "File:ImageHeight": size[1],
    }


@contextmanager
def _damage_reported(warn: Callable[[str], None]) -> Generator[None]:
    """Pass on Pillow's own warnings, for instance that EXIF is truncated."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in caught:
        warn(f"the metadata may be incomplete: {_one_line(message.message)}")


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


@contextmanager
def _damage_skipped(part: str, warn: Callable[[str], None]) -> Generator[None]:
    try:
        yield
    except DAMAGE_ERRORS as exc:
        warn(f"a part of the {part} cannot be read: {_one_line(exc)}")


def _exif_items(exif: Image.Exif, warn: Callable[[str], None]) -> dict[str, JsonValue]:
    """Read all tags with a standard name; of a damaged directory, none."""
    found: dict[str, JsonValue] = {}
    for directory, names in _DIRECTORIES.items():
        with _damage_skipped("EXIF", warn):
            found |= _named(exif.get_ifd(directory) if directory else exif, names)
    return found


def _stored_bytes(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""


def _photoshop_iptc(image: ImageFile) -> bytes:
    """Find IPTC in a JPEG, where it is a part of what Photoshop adds."""
    resources: object = image.info.get("photoshop")
    if not isinstance(resources, dict):
        return b""
    return _stored_bytes(cast("Mapping[object, object]", resources).get(photoshop_resources.IPTC))


def _other_items(xmp: bytes, iptc: bytes, warn: Callable[[str], None]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = iptc_dates(iptc)
    if xmp:
        with _damage_skipped("XMP", warn):
            found |= xmp_tags(xmp)
    return found


def _png_items(image: ImageFile) -> dict[str, JsonValue]:
    if image.format != "PNG":
        return {}
    texts = {name: cast("object", image.info.get(key)) for key, name in _PNG_TEXTS.items()}
    return {f"PNG:{name}": text for name, text in texts.items() if isinstance(text, str)}


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
        return _utf8(value.partition("\0")[0]).strip()
    return _number(name, value)


def _readable_list(name: str, values: tuple[object, ...]) -> JsonValue:
    numbers = [_number(name, value) for value in values]
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


def _number(name: str, value: object) -> int | float | None:
    """Convert to an integer if it is one, otherwise round as ExifTool does."""
    if not isinstance(value, int | float | IFDRational):
        return None
    number = _unit_of(name, float(value))
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else float(f"{number:.{_SIGNIFICANT_DIGITS}g}")


def _unit_of(name: str, value: float) -> float:
    """Convert logarithmic (APEX) values to seconds and f-numbers, as ExifTool does."""
    if name == "ShutterSpeedValue":
        return 2**-value if abs(value) < _MAX_APEX else 0
    if name in {"ApertureValue", "MaxApertureValue"}:
        return 2 ** (value / 2) if abs(value) < _MAX_APEX else 0
    return value


def _composite(raw: JSONObject) -> JSONObject:
    """Add the tags that ExifTool derives: the size, and the GPS position with signs instead of references."""
    derived: JSONObject = {"Composite:ImageSize": f"{raw['File:ImageWidth']} {raw['File:ImageHeight']}"}
    for name, positive, negative in (
        ("GPSLatitude", "N", "S"),
        ("GPSLongitude", "E", "W"),
        ("GPSAltitude", 0, 1),
    ):
        value, ref = raw.get(f"EXIF:{name}"), raw.get(f"EXIF:{name}Ref")
        if isinstance(value, int | float) and (ref in {positive, negative} or name == "GPSAltitude"):
            derived[f"Composite:{name}"] = -value if ref == negative else value
    return derived
