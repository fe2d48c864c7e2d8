"""Sensitivity, exposure time, aperture and focal length, without the nonsense that some cameras write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client.plugins.exif_tags import as_number, as_numbers, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STANDARD_GROUPS: Final = frozenset({"EXIF", "IFD0", "ExifIFD", "XMP", ""})
"""Tags with a defined meaning; maker notes have codes and other units under the same names."""

_FULL: Final = 0xFFFF
"""What EXIF's 16 bits hold for a larger sensitivity, and cameras for none."""
_UNKNOWN: Final = 0xFFFFFFFF
"""The same in the tags of 32 bits."""
_LOWEST_MAKER_ISO: Final = 25
"""Pentax numbers its sensitivities from 3 in maker notes."""
_SUCCESSORS: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("StandardOutputSensitivity",),
    2: ("RecommendedExposureIndex",),
    3: ("ISOSpeed",),
    4: ("StandardOutputSensitivity", "RecommendedExposureIndex"),
    5: ("StandardOutputSensitivity", "ISOSpeed"),
    6: ("RecommendedExposureIndex", "ISOSpeed"),
    7: ("StandardOutputSensitivity", "RecommendedExposureIndex", "ISOSpeed"),
}
"""Exif 2.3, SensitivityType: the tags of 32 bits with the sensitivity."""

_LONGEST_S: Final = 86_400
_LONGEST_OF_MAKER_S: Final = 30
"""Some maker notes hold the reciprocal, 250 for 1/250 s; longer exposures are in EXIF."""
_SAME: Final = 0.1
"""Tolerance for the rounding of APEX values."""
_LARGEST_F_NUMBER: Final = 1000
_LONGEST_MM: Final = 100_000


def iso(said: object, raw: Mapping[str, object]) -> int | None:
    """Read the sensitivity; beyond 65535 it is in a tag that SensitivityType names.

    Args:
        said: What the server says in the typed field.
        raw: The raw metadata.

    Returns:
        The ISO sensitivity; None if it is unknown.
    """
    return next(_sensitivities(said, raw), None)


def _sensitivities(said: object, raw: Mapping[str, object]) -> Iterator[int]:
    yield from _plausible_isos("", said)
    tags = list(values_of(raw, ("ISO", "PhotographicSensitivity")))
    # Composite is Canon's maker note.
    standard = [(group, value) for group, value in tags if _is_standard(group)]
    for group, value in standard:
        yield from _plausible_isos(group, value)
    kinds = (as_number(value) for _, value in values_of(raw, ("SensitivityType",)))
    names = _SUCCESSORS.get(int(next(kinds, None) or 0), _SUCCESSORS[7])
    for _, value in values_of(raw, names):
        yield from (round(number) for number in as_numbers(value) if 1 <= number < _UNKNOWN)
    for group, value in tags:
        if not _is_standard(group):
            yield from _plausible_isos(group, value)


def _plausible_isos(group: str, value: object) -> Iterator[int]:
    """Some cameras write the sensitivity twice, or a zero before it."""
    lowest = 1 if _is_standard(group) else _LOWEST_MAKER_ISO
    for number in as_numbers(value):
        if number >= lowest and number != _FULL:
            yield round(number)


def exposure_time(said: object, raw: Mapping[str, object]) -> float | None:
    """Read the exposure time.

    Args:
        said: What the server says in the typed field.
        raw: The raw metadata.

    Returns:
        Seconds; None if it is unknown.
    """
    if (seconds := _between(said, _LONGEST_S)) is not None:
        return seconds
    names = ("ExposureTime", "Composite:ShutterSpeed", "ShutterSpeed", "ShutterSpeedValue")
    found: list[float] = []
    for group, value in values_of(raw, names):
        longest = _LONGEST_S if _is_standard(group) else _LONGEST_OF_MAKER_S
        if (seconds := _between(value, longest)) is not None:
            found.append(seconds)
    if not found:
        return None
    first = found[0]
    # 250 s in one tag and 1/250 s in another: the first is a denominator without its fraction.
    is_denominator = first > 1 and any(abs(other * first - 1) < _SAME for other in found)
    return 1 / first if is_denominator else first


def f_number(said: object, raw: Mapping[str, object]) -> float | None:
    """Read the aperture.

    Args:
        said: What the server says in the typed field.
        raw: The raw metadata.

    Returns:
        The f-number; None if it is unknown, for instance with a manual lens.
    """
    if (number := _between(said, _LARGEST_F_NUMBER)) is not None:
        return number
    for _, value in values_of(raw, ("FNumber",)):
        if (number := _between(value, _LARGEST_F_NUMBER)) is not None:
            return number
    for _, value in values_of(raw, ("Composite:Aperture", "Aperture", "ApertureValue")):
        number = _between(value, _LARGEST_F_NUMBER)
        if number is not None and number != 1:  # an APEX value of 0, for an unknown aperture
            return number
    return None


def focal_length(said: object, raw: Mapping[str, object]) -> float | None:
    """Read the focal length.

    Args:
        said: What the server says in the typed field.
        raw: The raw metadata.

    Returns:
        Millimetres; None if it is unknown, for instance with a manual lens.
    """
    candidates = (said, *(value for _, value in values_of(raw, ("FocalLength",))))
    return next((mm for mm in (_between(value, _LONGEST_MM) for value in candidates) if mm is not None), None)


def _between(value: object, largest: float) -> float | None:
    """A number above 0 and up to the largest: 0 is what cameras write for unknown."""
    number = as_number(value)
    return number if number is not None and 0 < number <= largest else None


def _is_standard(group: str) -> bool:
    return group.partition("-")[0] in _STANDARD_GROUPS
