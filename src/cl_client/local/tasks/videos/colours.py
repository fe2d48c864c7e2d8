"""How the colours of video frames are coded, also where a file does not say so, or not all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# Numbers of ISO/IEC 23091-2, which FFmpeg uses too.
_RGB: Final = 0
_BT709: Final = 1
_BT601: Final = 6
_BT601_625_LINES: Final = 5
_SMPTE240M: Final = 7
BT2020: Final = 9
_BT2020_CONSTANT_LUMINANCE: Final = 10
P3: Final = (11, 12)
_BT2020_GAMMA: Final = 14
PQ: Final = 16
_HLG: Final = 18
HDR: Final = frozenset({PQ, _HLG})
_WIDE_GAMUTS: Final = frozenset({BT2020, *P3})

_HD_LINES: Final = 720
"""Without a description, browsers take a video of at least this height for BT.709, others for BT.601."""
_KNOWN_PRIMARIES: Final = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22})
_KNOWN_TRANSFERS: Final = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18})
_CONVERTIBLE_MATRICES: Final = frozenset({1, 4, 5, 6, 7, 9})
"""Those of YUV that FFmpeg converts; it fails for the others."""
_UNSUPPORTED_MATRICES: Final = frozenset({8, 11, 12, 13, 14, 15, 16, 17})
_STREAMED_MATRICES: Final = frozenset({_BT709, _BT601, _BT601_625_LINES})


class Colour(NamedTuple):
    """How the colours of a video are coded, as numbers of ISO/IEC 23091-2. None of them is "unspecified".

    Attributes:
        primaries: The colours of red, green and blue.
        transfer: How light becomes numbers.
        matrix: How RGB becomes YUV; 0 is RGB itself.
    """

    primaries: int
    transfer: int
    matrix: int

    @property
    def needs_cube(self) -> bool:
        """Whether a screen of the standard range shows these numbers wrong: HDR, or a wide gamut."""
        return self.transfer in HDR or self.primaries in _WIDE_GAMUTS

    @property
    def streamed(self) -> Colour:
        """The colours of a stream that every player shows right: its own, or BT.709."""
        if self.needs_cube or self.matrix not in _STREAMED_MATRICES:
            return BT709
        return self


BT709: Final = Colour(_BT709, _BT709, _BT709)


def specify_colour(frame: VideoFrame) -> Colour:
    """Complete the description of a frame's colours by what players assume, and store it in the frame.

    Args:
        frame: The frame. Unspecified, reserved and impossible values are replaced.

    Returns:
        The complete description.
    """
    primaries = frame.color_primaries if frame.color_primaries in _KNOWN_PRIMARIES else None
    transfer = frame.color_trc if frame.color_trc in _KNOWN_TRANSFERS else None
    matrix = _matrix_of(frame, primaries, transfer)
    if primaries is None:
        primaries = BT2020 if transfer in HDR else matrix or _BT709
    if transfer is None:
        transfer = {BT2020: _BT2020_GAMMA, _BT601_625_LINES: _BT601}.get(matrix, matrix or _BT709)
    frame.color_primaries, frame.color_trc, frame.colorspace = primaries, transfer, matrix
    if matrix == _RGB:
        from av.video.reformatter import ColorRange  # only here: images use this module too, without PyAV

        frame.color_range = ColorRange.JPEG
    return Colour(primaries, transfer, matrix)


def colour_warning(frame: VideoFrame) -> str | None:
    """Tell whether a frame's colours are coded in a way that is not supported.

    Args:
        frame: The frame, as decoded: before `specify_colour`.

    Returns:
        A warning, if they are.
    """
    if frame.colorspace in _UNSUPPORTED_MATRICES and not frame.format.is_rgb:
        return f"the video's colour matrix is not supported (H.273, number {frame.colorspace}): wrong colours"
    return None


def _matrix_of(frame: VideoFrame, primaries: int | None, transfer: int | None) -> int:
    if frame.format.is_rgb:
        return _RGB
    if frame.colorspace in _CONVERTIBLE_MATRICES:
        return frame.colorspace
    if frame.colorspace == _BT2020_CONSTANT_LUMINANCE or primaries == BT2020 or transfer in HDR:
        return BT2020
    if primaries in {_BT601_625_LINES, _BT601, _SMPTE240M}:
        return primaries
    if primaries == _BT709 or frame.height >= _HD_LINES:
        return _BT709
    return _BT601
