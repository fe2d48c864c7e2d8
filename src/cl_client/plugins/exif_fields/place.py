"""Where a file was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client.plugins.exif_tags import as_altitude, as_latitude, as_longitude, as_text, tag_key, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNSIGNED_GROUPS: Final = frozenset({"EXIF", "GPS"})
"""Groups with the hemisphere in a tag of its own."""
_VOID: Final = "V"
_ACTIVE: Final = "A"
"""GPSStatus: the measurement was interrupted, or is valid."""


def place(said: Mapping[str, object], raw: Mapping[str, object]) -> dict[str, float | None]:
    """Read the position.

    Many devices write 0, 0 when they have no fix. So this is no place, unless GPSStatus says that there was
    a fix.

    Args:
        said: What the server says in the typed fields.
        raw: The raw metadata.

    Returns:
        ``gps_latitude``, ``gps_longitude`` and ``gps_altitude``; None where it is unknown.
    """
    latitude = _coordinate(said.get("gps_latitude"), "GPSLatitude", raw)
    longitude = _coordinate(said.get("gps_longitude"), "GPSLongitude", raw)
    altitude = _altitude(said.get("gps_altitude"), raw)
    status = _status(raw)
    if latitude == 0 and longitude == 0 and status != _ACTIVE:
        latitude = longitude = None
        if not altitude or status == _VOID:
            altitude = None
    return {"gps_latitude": latitude, "gps_longitude": longitude, "gps_altitude": altitude}


def _status(raw: Mapping[str, object]) -> str | None:
    texts = (as_text(value) for _, value in values_of(raw, ("GPSStatus",)))
    status = next((text for text in texts if text), "")
    # Without -n ExifTool writes "Measurement Void" and "Measurement Active".
    return status.rpartition(" ")[2][:1].upper() or None


def _coordinate(said: object, name: str, raw: Mapping[str, object]) -> float | None:
    as_degrees, directions = (as_latitude, "NS") if name == "GPSLatitude" else (as_longitude, "EW")
    if (value := as_degrees(said, None)) is not None:
        return value
    for group, written in values_of(raw, (name,)):
        ref = _hemisphere(raw, "EXIF" if group == "Composite" else group, name, directions)
        if group in _UNSIGNED_GROUPS and not ref:
            continue
        if group == "Composite" and ref == "":  # ExifTool takes a blank one for north and east
            continue
        if (value := as_degrees(written, ref if group != "Composite" else None)) is not None:
            return value
    return None


def _hemisphere(raw: Mapping[str, object], group: str, name: str, directions: str) -> str | None:
    """Read the letter of the hemisphere: empty if it is invalid, None if there is no such tag."""
    ref = raw.get(tag_key(group, f"{name}Ref"))
    if ref is None:
        return None
    letter = str(ref).strip()[:1].upper()
    return letter if letter and letter in directions else ""


def _altitude(said: object, raw: Mapping[str, object]) -> float | None:
    if (value := as_altitude(said, None)) is not None:
        return value
    for group, written in values_of(raw, ("GPSAltitude",)):
        if (value := as_altitude(written, raw.get(tag_key(group, "GPSAltitudeRef")))) is not None:
            return value
    return None
