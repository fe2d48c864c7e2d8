"""Find ExifTool's tags by name in any group, and convert them to plain values.

Names and print formats are those of https://exiftool.org/TagNames/. Servers run ExifTool with ``-n``
(numbers) and ``-G`` (group prefixes); if single tags were requested, the prefix may be missing.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_GROUP_ORDER: Final = ("Composite", "File", "EXIF", "IFD0", "ExifIFD", "GPS", "XMP", "")
"""Most reliable first: computed by ExifTool, properties of the file, then embedded metadata. With ``-G1``
ExifTool writes ``IFD0``, ``ExifIFD`` and ``GPS`` for ``EXIF``; "" is no group."""
_THUMBNAIL_GROUPS: Final = frozenset({"IFD1", "PreviewIFD", "SubIFD"})
_NO_DATE: Final = "0000:00:00"
"""The placeholder that video encoders and cameras without a clock write."""
_ORIENTATIONS: Final = (
    "Horizontal (normal)",
    "Mirror horizontal",
    "Rotate 180",
    "Mirror vertical",
    "Mirror horizontal and rotate 270 CW",
    "Rotate 90 CW",
    "Mirror horizontal and rotate 90 CW",
    "Rotate 270 CW",
)
"""ExifTool's descriptions of 1-8."""
_NEGATIVE_ALTITUDE_REFS: Final = frozenset({"1", "3"})
"""Exif 3.0, GPSAltitudeRef: below the ellipsoid and, 3, below sea level."""
_MAX_DEGREE_PARTS: Final = 3

_NUMBER: Final = re.compile(r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?:/(\d+))?")
_FRACTION: Final = re.compile(r"\s*(\d+)\s*/\s*(\d+)")
_HEMISPHERE: Final = re.compile(r"[NESW]\s*$", re.IGNORECASE)
_DATE: Final = re.compile(
    r"(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})[ T]+"
    r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(Z|[-+]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_ZONE: Final = re.compile(r"Z|[-+]\d\d:?\d\d")
_FRACTION_OF_SECOND: Final = re.compile(r"\s*(\d+)")
_MICROSECOND_DIGITS: Final = 6


def tags_named(raw: Mapping[str, object], name: str) -> Iterator[tuple[str, object]]:
    """Find all tags of a name that have a value.

    Args:
        raw: The raw metadata.
        name: The name of the tag, without a group.

    Yields:
        Groups and values, the most reliable group first.
    """
    groups = [group for group, _, own in (key.rpartition(":") for key in raw) if own == name]
    for group in sorted(groups, key=_rank):
        value = raw[tag_key(group, name)]
        empty = value is None or (isinstance(value, str) and value.startswith(_NO_DATE))
        if not empty and group not in _THUMBNAIL_GROUPS:
            yield group, value


def values_of(raw: Mapping[str, object], names: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Find all tags of several names that have a value.

    Args:
        raw: The raw metadata.
        names: The names, best first; with a group, for instance ``XML:DeviceModelName``, only this tag.

    Yields:
        Groups and values: the first name in all groups, the most reliable group first, then the second name.
    """
    for name in names:
        if ":" not in name:
            yield from tags_named(raw, name)
        elif raw.get(name) is not None:
            yield name.rpartition(":")[0], raw[name]


def tag_key(group: str, name: str) -> str:
    """Build the key of a tag in the raw metadata.

    Args:
        group: The group; empty for none.
        name: The name of the tag.

    Returns:
        The key, for instance ``EXIF:Make``.
    """
    return f"{group}:{name}" if group else name


def _rank(group: str) -> int:
    family = group.partition("-")[0]  # XMP-tiff, XMP-exif
    return _GROUP_ORDER.index(family) if family in _GROUP_ORDER else len(_GROUP_ORDER)


def as_text(value: object) -> str | None:
    """Convert a value to text. ExifTool writes a camera model such as 3310 as a number.

    Args:
        value: The raw value.

    Returns:
        The text up to a NUL, without surrounding white space; None if it is blank or not text.
    """
    return str(value).partition("\0")[0].strip() or None if isinstance(value, str | int | float) else None


def as_number(value: object) -> float | None:
    """Read the first number of a value.

    Args:
        value: For instance ``85``, ``"85.0 mm"`` or ``"1/250"``.

    Returns:
        The number; None if there is none.
    """
    if isinstance(value, str) and (fraction := _FRACTION.match(value)) is not None:
        quotient = _quotient(fraction.group(1), fraction.group(2))
        return quotient if math.isfinite(quotient) else None
    return next(iter(as_numbers(value)), None)


def as_integer(value: object) -> int | None:
    """Read the first number of a value as an integer. Some cameras write the ISO twice.

    Args:
        value: The raw value.

    Returns:
        The number; None if there is none or it is not an integer.
    """
    return _whole(as_number(value))


def as_last_integer(value: object) -> int | None:
    """Read the last number of a value as an integer.

    Args:
        value: For instance ``1024x768``, for the height.

    Returns:
        The number; None if there is none or it is not an integer.
    """
    return _whole(next(reversed(as_numbers(value)), None))


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and number.is_integer() else None


def as_orientation(value: object) -> int | None:
    """Read an EXIF orientation.

    Args:
        value: A number, or ExifTool's description of it.

    Returns:
        1-8; None if it is invalid.
    """
    if value in _ORIENTATIONS:
        return _ORIENTATIONS.index(str(value)) + 1
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    number = int(text) if text.isdecimal() and len(text) == 1 else 0
    return number if 1 <= number <= len(_ORIENTATIONS) else None


def as_latitude(value: object, ref: object = None) -> float | None:
    """Read a latitude.

    Args:
        value: A number, three numbers (degrees, minutes, seconds), or text.
        ref: The hemisphere from its own tag, ``N`` or ``S``.

    Returns:
        Decimal degrees, south negative; None if it is invalid.
    """
    return _as_degrees(value, ref, limit=90)


def as_longitude(value: object, ref: object = None) -> float | None:
    """Read a longitude.

    Args:
        value: A number, three numbers (degrees, minutes, seconds), or text.
        ref: The hemisphere from its own tag, ``E`` or ``W``.

    Returns:
        Decimal degrees, west negative; None if it is invalid.
    """
    return _as_degrees(value, ref, limit=180)


def _as_degrees(value: object, ref: object, *, limit: float) -> float | None:
    """Read an angle as signed decimal degrees.

    Args:
        value: A number, three numbers (degrees, minutes, seconds), or text such as ``48 deg 51' 29.00" N``.
        ref: The hemisphere from its own tag: ``N``, ``South`` and so on.
        limit: The largest valid angle.

    Returns:
        Decimal degrees; None if the value is invalid.
    """
    numbers = as_numbers(value)
    if not 1 <= len(numbers) <= _MAX_DEGREE_PARTS:
        return None
    degrees = sum(abs(number) / 60**power for power, number in enumerate(numbers))
    written = _HEMISPHERE.search(value) if isinstance(value, str) else None
    hemisphere = written.group() if written else str(ref or "").strip()
    negative = math.copysign(1, numbers[0]) < 0 or hemisphere[:1].upper() in {"S", "W"}
    return (-degrees if negative else degrees) if degrees <= limit else None


def as_altitude(value: object, ref: object = None) -> float | None:
    """Read an altitude.

    Args:
        value: A number, or text such as ``35 m Below Sea Level``.
        ref: Above or below sea level, from its own tag: 0, 1, ``Below Sea Level`` and so on.

    Returns:
        Metres, negative below sea level; None if it is invalid.
    """
    metres = as_number(value)
    if metres is None:
        return None
    words = f"{value} {ref}".lower()
    below = "below" in words or "negative" in words or str(ref) in _NEGATIVE_ALTITUDE_REFS
    return -abs(metres) if below else metres


def as_datetime(text: str | None, offset: object = None, fraction: object = None) -> datetime | None:
    """Parse a date and time.

    Args:
        text: For instance ``2025:12:30 10:20:30``.
        offset: The offset from UTC from its own tag, for instance ``+05:30``.
        fraction: The fraction of a second from its own tag: ``25`` is a quarter.

    Returns:
        A datetime, timezone-aware if the text or ``offset`` gives the time zone; None if it is invalid.
    """
    parts = _DATE.fullmatch(text.strip()) if text is not None else None
    if parts is None:
        return None
    year, month, day, hour, minute, second, own_fraction, own_zone = parts.groups()
    digits = (own_fraction or _digits(fraction))[:_MICROSECOND_DIGITS]
    zone = (own_zone or as_text(offset) or "").upper()
    try:
        return datetime.fromisoformat(
            f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second or '00'}.{digits:0<6}"
            f"{zone if _ZONE.fullmatch(zone) else ''}"
        )
    except ValueError:
        return None


def _digits(fraction: object) -> str:
    """The digits after the decimal point; ExifTool writes ``05`` as text, but ``25`` as a number."""
    found = _FRACTION_OF_SECOND.match(as_text(fraction) or "")
    return found.group(1) if found else ""


def as_numbers(value: object) -> list[float]:
    """Read all finite numbers of a value.

    Args:
        value: For instance ``200``, ``"0 200"`` or ``"48/1 51/1 2900/100"``, where a fraction is one number.

    Returns:
        The numbers.
    """
    if isinstance(value, list | tuple):
        return [number for part in cast("Sequence[object]", value) for number in as_numbers(part)]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return []
    found = (_quotient(*match.groups(default="1")) for match in _NUMBER.finditer(str(value)))
    return [number for number in found if math.isfinite(number)]


def _quotient(numerator: str, denominator: str) -> float:
    return float(numerator) / float(denominator) if float(denominator) else math.inf
