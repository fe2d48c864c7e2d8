"""The size of a picture or video as stored, how it is turned, and the size as shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cl_client.plugins.exif_tags import as_integer, as_last_integer, as_numbers, as_orientation, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SWAPPED_ORIENTATIONS: Final = frozenset({5, 6, 7, 8})
"""The orientations that swap width and height."""
_HEIF_TYPES: Final = ("image/heic", "image/heif", "image/avif")
_TURNED: Final[Mapping[int, int]] = {0: 1, 90: 6, 180: 3, 270: 8}
"""The orientation of a picture that is turned clockwise by so many degrees for display."""
_MIRRORED: Final[Mapping[int, int]] = {0: 2, 90: 7, 180: 4, 270: 5}
"""The same if it is first mirrored left to right."""
_LARGEST: Final = 0x7FFFFFFF
_MAX_QUARTERS: Final = 3
_MATRIX_LENGTH: Final = 9


@dataclass(frozen=True, slots=True)
class Display:
    """How a picture or video is stored and shown; None for what is unknown.

    Attributes:
        width: Width in pixels as stored.
        height: Height in pixels as stored.
        orientation: EXIF orientation, 1-8: how the stored picture is turned.
        display_width: Width in pixels as shown.
        display_height: Height in pixels as shown.
    """

    width: int | None
    height: int | None
    orientation: int | None
    display_width: int | None
    display_height: int | None


def display(said: Mapping[str, object], raw: Mapping[str, object]) -> Display:
    """Read how a picture or video is shown.

    Args:
        said: What the server says in the typed fields.
        raw: The raw metadata.

    Returns:
        What is known.
    """
    stored = _Size(raw)
    width = _positive(as_integer, said.get("image_width")) or stored.width
    height = _positive(as_last_integer, said.get("image_height")) or stored.height
    turned = as_orientation(said.get("orientation")) or orientation(raw)
    shown = (stored.square_width(width, height), height)
    if turned in SWAPPED_ORIENTATIONS:
        shown = (shown[1], shown[0])
    return Display(
        width,
        height,
        turned,
        _positive(as_integer, said.get("display_width")) or shown[0],
        _positive(as_integer, said.get("display_height")) or shown[1],
    )


class _Size:
    """The stored size, and the shape of its pixels."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        # In QuickTime, ImageWidth is that for display, as a camera or editor wants it.
        source = ("QuickTime:SourceImageWidth", "QuickTime:SourceImageHeight") if _is_video(raw) else ()
        self._raw = raw
        self.width = self._first(as_integer, (*source[:1], "ImageSize", "ImageWidth", "ExifImageWidth"))
        self.height = self._first(
            as_last_integer, (*source[1:], "ImageSize", "ImageHeight", "ExifImageHeight")
        )

    def _first(self, read: Callable[[object], int | None], names: tuple[str, ...]) -> int | None:
        found = (_positive(read, value) for _, value in values_of(self._raw, names))
        return next((value for value in found if value is not None), None)

    def square_width(self, width: int | None, height: int | None) -> int | None:
        """The width with square pixels, before it is turned."""
        if width is None or height is None or not _is_video(self._raw):
            return width
        shape = as_numbers(str(self._raw.get("QuickTime:PixelAspectRatio", "")).replace(":", " "))
        match shape:
            case [across, down] if across > 0 and down > 0:
                return max(1, round(width * across / down))
            case _:
                pass
        track_width = self._first(as_integer, ("QuickTime:ImageWidth",))
        track_height = self._first(as_integer, ("QuickTime:ImageHeight",))
        if track_width and track_height:
            return max(1, round(height * track_width / track_height))
        return width


def orientation(raw: Mapping[str, object]) -> int | None:
    """Read how the stored picture is turned for display.

    Args:
        raw: The raw metadata.

    Returns:
        EXIF orientation, 1-8; None if it is unknown.
    """
    if _mime_type(raw).startswith(_HEIF_TYPES):
        return _heif_orientation(raw)
    if _is_video(raw) and (turned := _video_orientation(raw)) is not None:
        return turned
    found = (as_orientation(value) for _, value in values_of(raw, ("Orientation",)))
    return next((value for value in found if value is not None), None)


def _heif_orientation(raw: Mapping[str, object]) -> int:
    """Read HEIF's own properties, which alone count: viewers ignore EXIF (ISO/IEC 23008-12)."""
    # irot turns anticlockwise by quarters, which older ExifTools write in degrees. It is applied before imir
    # (MIAF), where 0 swaps top and bottom, and 1 left and right.
    number = as_integer(raw.get("QuickTime:Rotation")) or 0
    degrees = (number * 90 if 0 < number <= _MAX_QUARTERS else number) % 360
    mirroring = as_integer(raw.get("QuickTime:Mirroring"))
    if mirroring is None:
        return _TURNED.get(-degrees % 360, 1)
    # To mirror after turning by some angle is to mirror first, and to turn the other way.
    return _MIRRORED.get((degrees + (0 if mirroring == 1 else 180)) % 360, 1)


def _video_orientation(raw: Mapping[str, object]) -> int | None:
    angles = (as_integer(value) for _, value in values_of(raw, ("Composite:Rotation", "Rotation")))
    angle = next((value for value in angles if value is not None), None)
    matrix = as_numbers(raw.get("QuickTime:MatrixStructure"))
    if len(matrix) == _MATRIX_LENGTH:
        a, b, _, c, d = matrix[:5]
        if a * d - b * c < 0:  # mirrored, which an angle cannot say
            return matrix_orientation(a, b, c, d)
    return None if angle is None else _TURNED.get(angle % 360)


def matrix_orientation(a: float, b: float, c: float, d: float) -> int | None:
    """Convert a display matrix, as in ISO/IEC 14496-12, to an orientation.

    Args:
        a: How far a step to the right in the stored picture goes to the right in the shown one.
        b: How far it goes down.
        c: How far a step down goes to the right.
        d: How far it goes down.

    Returns:
        1-8; None if it is no turn by quarters.
    """
    signs = tuple((value > 0) - (value < 0) for value in (a, b, c, d))
    return _MATRICES.get(signs)


_MATRICES: Final[Mapping[tuple[int, ...], int]] = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


def _mime_type(raw: Mapping[str, object]) -> str:
    return str(raw.get("File:MIMEType") or raw.get("MIMEType") or "")


def _is_video(raw: Mapping[str, object]) -> bool:
    return _mime_type(raw).startswith("video/")


def _positive(read: Callable[[object], int | None], value: object) -> int | None:
    number = read(value)
    return number if number is not None and 0 < number <= _LARGEST else None
