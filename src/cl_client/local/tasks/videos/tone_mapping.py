"""Tone mapping: colours of HDR and of wide gamuts, as a screen of the standard range shows them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from cl_client.local.tasks.videos.colours import BT2020, HDR, P3, PQ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cl_client.local.tasks.videos.colours import Colour

_STEPS: Final = 36
_SIDE: Final = 216
"""A cube of 36 x 36 x 36 colours is a picture of 216 x 216."""
_SDR_WHITE: Final = 203
"""White of the standard range in HDR, in candelas per square metre (ITU-R BT.2408)."""
_HDR_PEAK: Final = 1000
"""The brightest light that does not become plain white: that of HLG's nominal display, and of most HDR10."""
_KNEE: Final = 0.3
"""Light up to this part of white is not changed by tone mapping."""
_SRGB_LINEAR: Final = 0.0031308
"""Light up to this is proportional to the numbers of sRGB."""
_BT2020_LUMINANCE: Final = (0.2627, 0.6780, 0.0593)
_BT2020_TO_BT709: Final = (
    (1.660491, -0.587641, -0.072850),
    (-0.124550, 1.132900, -0.008349),
    (-0.018151, -0.100579, 1.118730),
)
_P3_TO_BT709: Final = (
    (1.224940, -0.224940, 0.0),
    (-0.042057, 1.042057, 0.0),
    (-0.019638, -0.078636, 1.098274),
)
_MATRICES: Final = {BT2020: _BT2020_TO_BT709, **dict.fromkeys(P3, _P3_TO_BT709)}


@lru_cache(maxsize=4)
def colour_cube(colour: Colour) -> NDArray[np.uint16]:
    """Convert every colour to BT.709 in the standard range.

    Args:
        colour: The description of the RGB values to convert.

    Returns:
        A picture for FFmpeg's filter ``haldclut``, of 16 bits.
    """
    index = np.arange(_STEPS**3)
    coded = np.stack((index % _STEPS, index // _STEPS % _STEPS, index // _STEPS**2), axis=-1) / (_STEPS - 1)
    light = _light(coded, colour.transfer)
    if colour.primaries in _MATRICES:
        light = light @ np.array(_MATRICES[colour.primaries]).T
    if colour.transfer in HDR:
        light = _tone_mapped(light)
    return (_srgb(light) * 65535).round().astype(np.uint16).reshape(_SIDE, _SIDE, 3)


def _light(coded: NDArray[np.float64], transfer: int) -> NDArray[np.float64]:
    """Return the light of the display; 1 is white of the standard range."""
    if transfer == PQ:
        return _pq_light(coded)
    if transfer in HDR:
        return _hlg_light(coded)
    # Screens show BT.709's and BT.2020's numbers like those of sRGB.
    return np.where(coded <= 12.92 * _SRGB_LINEAR, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def _pq_light(coded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the EOTF of ITU-R BT.2100, table 4."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = coded ** (1 / m2)
    return 10_000 / _SDR_WHITE * ((power - c1).clip(0) / (c2 - c3 * power)) ** (1 / m1)


def _hlg_light(coded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the inverse OETF and the OOTF of ITU-R BT.2100, table 5."""
    a, b, c, half = 0.17883277, 0.28466892, 0.55991073, 0.5
    scene = np.where(coded <= half, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    luminance = scene @ np.array(_BT2020_LUMINANCE)
    return _HDR_PEAK / _SDR_WHITE * luminance[:, np.newaxis] ** 0.2 * scene


def _tone_mapped(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compress the light above the knee by Moebius' curve, so that the peak becomes white."""
    # By the brightest of red, green and blue, so that they keep their proportions.
    peak, knee, dark = _HDR_PEAK / _SDR_WHITE, _KNEE, np.float64(1e-6)
    brightest = np.maximum(np.maximum.reduce(light, axis=1, keepdims=True), dark)
    a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
    b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
    curve = (b**2 + 2 * b * knee + knee**2) / (b - a) * (brightest + a) / (brightest + b)
    return light * np.where(brightest <= knee, 1, curve / brightest)


def _srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    light = light.clip(0, 1)
    return np.where(light <= _SRGB_LINEAR, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
