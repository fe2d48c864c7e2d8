"""Reading ExifTool's tags: found by name whatever group they stand in, and turned into plain values.

Names and print formats are those of https://exiftool.org/TagNames/. Servers run it with ``-n`` (numbers) and
``-G`` (group prefixes); where single tags were asked for, the prefix may be missing.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_GROUP_ORDER: Final = ("Composite", "File", "EXIF", "IFD0", "ExifIFD", "GPS", "XMP", "")
"""Most trustworthy first: what ExifTool worked out, what the file itself says, then what was written into it.
``IFD0``, ``ExifIFD`` and ``GPS`` are what ExifTool's ``-G1`` says for ``EXIF``; "" is no group at all."""
_THUMBNAIL_GROUPS: Final = frozenset({"IFD1", "PreviewIFD", "SubIFD"})
_NO_DATE: Final = "0000:00:00"
"""What cameras without a clock and video encoders write."""
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
"""ExifTool's words for 1-8."""
_NEGATIVE_ALTITUDE_REFS: Final = frozenset({"1", "3"})
"""Exif 3.0, GPSAltitudeRef: below the ellipsoid and, 3, below sea level."""
_MAX_DEGREE_PARTS: Final = 3

_NUMBER: Final = re.compile(r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?:/(\d+))?")
_FRACTION: Final = re.compile(r"\s*(\d+)\s*/\s*(\d+)")
_HEMISPHERE: Final = re.compile(r"[NESW]\s*$", re.IGNORECASE)
_DATE: Final = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d.*)")
_ZONE: Final = re.compile(r"(Z|[-+]\d\d:?\d\d)$")


def tags_named(raw: Mapping[str, object], name: str) -> Iterator[tuple[str, object]]:
    """Each group with a tag of this name that says something, and its value; the most trustworthy first."""
    groups = [group for group, _, own in (key.rpartition(":") for key in raw) if own == name]
    for group in sorted(groups, key=_rank):
        value = raw[tag_key(group, name)]
        empty = value is None or (isinstance(value, str) and value.startswith(_NO_DATE))
        if not empty and group not in _THUMBNAIL_GROUPS:
            yield group, value


def tag_key(group: str, name: str) -> str:
    """A tag's key in the raw metadata."""
    return f"{group}:{name}" if group else name


def _rank(group: str) -> int:
    family = group.partition("-")[0]  # XMP-tiff, XMP-exif
    return _GROUP_ORDER.index(family) if family in _GROUP_ORDER else len(_GROUP_ORDER)


def as_text(value: object) -> str | None:
    """A text that is not blank; ExifTool writes a camera called 3310 as a number."""
    return str(value).strip() or None if isinstance(value, str | int | float) else None


def as_number(value: object) -> float | None:
    """The first number of a value: ``85``, ``"85.0 mm"``, ``"1/250"``."""
    if isinstance(value, str) and (fraction := _FRACTION.match(value)) is not None:
        quotient = _quotient(fraction.group(1), fraction.group(2))
        return quotient if math.isfinite(quotient) else None
    return next(iter(_numbers(value)), None)


def as_integer(value: object) -> int | None:
    """The first number of a value, where it is a whole one; some cameras write the ISO twice."""
    return _whole(as_number(value))


def as_last_integer(value: object) -> int | None:
    """The last number of a value, where it is a whole one: the height in ``1024x768``."""
    return _whole(next(reversed(_numbers(value)), None))


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and number.is_integer() else None


def as_orientation(value: object) -> int | None:
    """EXIF's 1-8, also from ExifTool's words."""
    if value in _ORIENTATIONS:
        return _ORIENTATIONS.index(str(value)) + 1
    number = int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else 0
    return number if 1 <= number <= len(_ORIENTATIONS) else None


def as_latitude(value: object, ref: object = None) -> float | None:
    """Signed decimal degrees, south negative; see `_as_degrees`."""
    return _as_degrees(value, ref, limit=90)


def as_longitude(value: object, ref: object = None) -> float | None:
    """Signed decimal degrees, west negative; see `_as_degrees`."""
    return _as_degrees(value, ref, limit=180)


def _as_degrees(value: object, ref: object, *, limit: float) -> float | None:
    """Signed decimal degrees.

    Args:
        value: A number, three of them (degrees, minutes, seconds), or text such as ``48 deg 51' 29.00" N``.
        ref: The hemisphere that stands in a tag of its own: ``N``, ``South`` and so on.
        limit: The largest angle there is.
    """
    numbers = _numbers(value)
    if not 1 <= len(numbers) <= _MAX_DEGREE_PARTS:
        return None
    degrees = sum(abs(number) / 60**power for power, number in enumerate(numbers))
    written = _HEMISPHERE.search(value) if isinstance(value, str) else None
    hemisphere = written.group() if written else str(ref or "").strip()
    negative = math.copysign(1, numbers[0]) < 0 or hemisphere[:1].upper() in {"S", "W"}
    return (-degrees if negative else degrees) if degrees <= limit else None


def as_altitude(value: object, ref: object = None) -> float | None:
    """Metres above sea level, negative below it.

    Args:
        value: A number, or text such as ``35 m Below Sea Level``.
        ref: The side of sea level that stands in a tag of its own: 0, 1, ``Below Sea Level`` and so on.
    """
    metres = as_number(value)
    if metres is None:
        return None
    words = f"{value} {ref}".lower()
    below = "below" in words or "negative" in words or str(ref) in _NEGATIVE_ALTITUDE_REFS
    return -abs(metres) if below else metres


def as_datetime(text: str | None, offset: object = None) -> datetime | None:
    """A point in time: aware where the text, or the tag of its offset (``+05:30``), says the zone."""
    parts = _DATE.fullmatch(text.strip()) if text is not None else None
    if parts is None:
        return None
    year, month, day, time = parts.groups()
    time = time.replace(" ", "").upper()
    zone = (as_text(offset) or "").upper()
    if _ZONE.search(time) or not _ZONE.fullmatch(zone):
        zone = ""
    try:
        return datetime.fromisoformat(f"{year}-{month}-{day}T{time}{zone}")
    except ValueError:
        return None


def _numbers(value: object) -> list[float]:
    """All finite numbers of a value, of which fractions such as ``51/1`` are one each."""
    if isinstance(value, list | tuple):
        return [number for part in cast("Sequence[object]", value) for number in _numbers(part)]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return []
    found = (_quotient(*match.groups(default="1")) for match in _NUMBER.finditer(str(value)))
    return [number for number in found if math.isfinite(number)]


def _quotient(numerator: str, denominator: str) -> float:
    return float(numerator) / float(denominator) if float(denominator) else math.inf
