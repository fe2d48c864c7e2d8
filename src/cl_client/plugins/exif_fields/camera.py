"""The camera and the software that made a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client.plugins.exif_tags import as_text, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "make": ("Make", "AndroidMake", "XML:DeviceManufacturer"),
    "model": ("Model", "AndroidModel", "XML:DeviceModelName"),
    "software": ("Software", "CreatorTool"),
}
"""The tags of each field, best first. XAVC cameras embed ``XML``; in other groups, tags with these names are
about a colour profile."""
_AVCHD_MAKERS: Final[Mapping[object, str]] = {
    0x0103: "Panasonic",
    0x0108: "Sony",
    0x1011: "Canon",
    0x1104: "JVC",
}
"""AVCHD has a number for each manufacturer, which ExifTool keeps with ``-n``."""


def camera_text(said: object, field: str, raw: Mapping[str, object]) -> str | None:
    """Read the manufacturer, the model or the software.

    Args:
        said: What the server says in the typed field.
        field: ``make``, ``model`` or ``software``.
        raw: The raw metadata.

    Returns:
        The text; None if it is unknown.
    """
    if (text := as_text(said)) is not None:
        return text
    for group, value in values_of(raw, _TEXTS[field]):
        known = _AVCHD_MAKERS.get(value) if group in {"H264", "M2TS"} and isinstance(value, int) else None
        if (text := known or as_text(value)) is not None:
            return text
    return None
