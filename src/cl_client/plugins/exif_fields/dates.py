"""When a file was taken and digitised, from the date tags of any format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cl_client.plugins.exif_tags import as_datetime, as_text, tag_key, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

_FIRST_PHOTO: Final = 1826
"""No photo is older: such years, and 0 and 1, are what programs write for an unknown date."""
_YEAR: Final = re.compile(r"\s*(\d{1,4})(?!\d)")
_UNKNOWN: Final = frozenset(" \0:0-/.TZ+")
"""A date of these characters alone is one that was never set."""
_EPOCHS: Final = ("1904:01:01", "1970:01:01")
"""Where the clocks of movie headers start; a header that was never set says so."""
_MOVIE_DATES: Final = ("QuickTime:CreateDate", "QuickTime:MediaCreateDate", "QuickTime:TrackCreateDate")
"""The dates of movie headers, in UTC by the standard (ISO/IEC 14496-12, 8.2.2)."""
_LOCAL_TIME_WRITERS: Final = ("gopro",)
"""Cameras without a time zone, which write their own time there."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of the two dates: its tags, best first, and what completes them."""

    names: tuple[str, ...]
    offset: str
    fraction: str
    pairs: tuple[tuple[str, str], ...]
    """Tags with a date, and tags of the same group with the time of day."""


_TAKEN: Final = _Kind(
    names=(
        "DateTimeOriginal",
        "SubSecDateTimeOriginal",
        "CreationDate",
        "XML:CreationDateValue",
        "DateTimeCreated",
        "DateCreated",
        "PNG:CreationTime",
        "QuickTime:ContentCreateDate",
    ),
    offset="OffsetTimeOriginal",
    fraction="SubSecTimeOriginal",
    pairs=(("DateCreated", "TimeCreated"),),
)
_DIGITISED: Final = _Kind(
    names=(
        "CreateDate",
        "SubSecCreateDate",
        "DateTimeDigitized",
        "DigitalCreationDateTime",
        "DigitalCreationDate",
    ),
    offset="OffsetTimeDigitized",
    fraction="SubSecTimeDigitized",
    pairs=(("DigitalCreationDate", "DigitalCreationTime"),),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date.

    Attributes:
        text: As the tag says; None if there is no such tag.
        when: As a point in time; None if the text is not a date with a time of day.
    """

    text: str | None
    when: datetime | None


def taken(said: object, raw: Mapping[str, object]) -> Moment:
    """Read when a file was taken: from EXIF, XMP, IPTC, or what a video has.

    Args:
        said: What the server says in ``date_time_original``.
        raw: The raw metadata.

    Returns:
        Its text is that of the tags that say when the original was taken; for a video with none, the point in
        time is that of its header.
    """
    found = _moment(said, _TAKEN, raw)
    if found.when is not None:
        return found
    header = next((moment.when for moment in _movie_moments(raw) if moment.when is not None), None)
    return Moment(found.text, header)


def created(said: object, raw: Mapping[str, object]) -> Moment:
    """Read when a file was digitised or, for a video, created.

    Args:
        said: What the server says in ``create_date``.
        raw: The raw metadata.

    Returns:
        The date.
    """
    return _moment(said, _DIGITISED, raw)


def _moment(said: object, kind: _Kind, raw: Mapping[str, object]) -> Moment:
    candidates = list(_candidates(kind, raw))
    text = as_text(said)
    if text is not None:
        same = next((moment.when for moment in candidates if moment.text == text), None)
        if (when := same or as_datetime(text, *_completion(kind, raw))) is not None:
            return Moment(text, when)
    dated = next((moment for moment in candidates if moment.when is not None), None)
    best = dated or next(iter(candidates), Moment(None, None))
    return Moment(text or best.text, best.when)


def _completion(kind: _Kind, raw: Mapping[str, object]) -> tuple[object, object]:
    """The zone and the fraction for a date of which the group is not known."""
    offset = next((value for _, value in values_of(raw, (kind.offset,))), None)
    fraction = next((value for _, value in values_of(raw, (kind.fraction,))), None)
    return offset, fraction


def _candidates(kind: _Kind, raw: Mapping[str, object]) -> Iterator[Moment]:
    for key, value in _keys(raw, kind.names):
        group, _, name = key.rpartition(":")
        text = as_text(value)
        if text is None or says_nothing(text):
            continue
        if key in _MOVIE_DATES:
            yield from _movie_moment(text, raw)
            continue
        for date, time in kind.pairs:
            time_text = as_text(raw.get(tag_key(group, time))) if name == date else None
            if time_text is not None and " " not in text:
                text = f"{text} {time_text}"
        offset, fraction = raw.get(tag_key(group, kind.offset)), raw.get(tag_key(group, kind.fraction))
        yield Moment(text, as_datetime(text, offset, fraction))


def _keys(raw: Mapping[str, object], names: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for name in names:
        for group, value in values_of(raw, (name,)):
            yield tag_key(group, name.rpartition(":")[2]), value


def _movie_moments(raw: Mapping[str, object]) -> Iterator[Moment]:
    for _, value in _keys(raw, _MOVIE_DATES):
        text = as_text(value)
        if text is not None and not says_nothing(text):
            yield from _movie_moment(text, raw)


def _movie_moment(text: str, raw: Mapping[str, object]) -> Iterator[Moment]:
    if not text.startswith(_EPOCHS):
        yield Moment(text, as_datetime(text, None if _writes_local_time(raw) else "Z"))


def _writes_local_time(raw: Mapping[str, object]) -> bool:
    keys = (
        "QuickTime:CompressorName",
        "QuickTime:HandlerDescription",
        "QuickTime:Make",
        "QuickTime:FirmwareVersion",
    )
    told = " ".join(str(raw.get(key, "")) for key in keys).lower()
    groups = {key.partition(":")[0].lower() for key in raw}
    return any(writer in told or writer in groups for writer in _LOCAL_TIME_WRITERS)


def says_nothing(text: str) -> bool:
    """Tell whether a date was never set: zeros, blanks, or a year before there was photography.

    Args:
        text: The text of a date tag.

    Returns:
        True if it was never set.
    """
    if not set(text) - _UNKNOWN:
        return True
    year = _YEAR.match(text)
    return year is not None and int(year.group(1)) < _FIRST_PHOTO
