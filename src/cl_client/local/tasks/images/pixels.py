"""Pixels of any mode, converted to what can be shown: 8 bits per channel, with or without transparency."""

from __future__ import annotations

import struct
from functools import cache
from io import BytesIO
from typing import Final

from PIL import Image

_PROFILE_DATE: Final = slice(24, 36)
"""Where the time of creation is in a profile's header (ICC.1, 7.2.8)."""
_DATE: Final = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
_PROFILE_COLOURS: Final = {"L": "GRAY", "LA": "GRAY", "I;16": "GRAY", "P": "RGB", "CMYK": "CMYK"}

BAND_PIXELS: Final = 1_000_000
"""Size of the bands in which large images are converted, so that no second copy of the whole is needed."""


def displayable(image: Image.Image) -> Image.Image:
    """Convert an image to 8 bits per channel, with an alpha channel only if it has transparency.

    Grey values of more than 8 bits are scaled, not clipped. CMYK is converted with its ICC profile if it has
    one.

    Args:
        image: An image of any mode.

    Returns:
        The image in mode L, LA, RGB or RGBA; the same object if it already is.
    """
    if image.mode.startswith(("I", "F")):
        image = _scaled_to_8_bits(image)
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image)
    base = "L" if image.mode in {"1", "L", "LA", "La"} else "RGB"
    mode = f"{base}A" if image.has_transparency_data else base
    if image.mode == mode:
        return image
    converted = image.convert(mode)
    if image.mode == "LAB":  # by profiles of Pillow, of which it adds one
        converted.info["icc_profile"] = srgb_profile()
    return converted


def flattened(image: Image.Image) -> Image.Image:
    """Remove the alpha channel: transparent parts become white.

    Args:
        image: An image from `displayable`.

    Returns:
        The image in mode L or RGB; the same object if it has no alpha channel.
    """
    if not image.mode.endswith("A"):
        return image
    base = image.mode.removesuffix("A")
    flat = Image.new(base, image.size, "white")
    # In bands: the colours and the alpha channel of the whole image would be two more copies of it.
    rows = max(1, BAND_PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        flat.paste(band.convert(base), (0, top), mask=band.getchannel("A"))
    flat.info = image.info.copy()
    return flat


def matching_profile(image: Image.Image) -> bytes | None:
    """Return the image's ICC profile if it fits the image's current mode.

    Args:
        image: The image.

    Returns:
        The profile; None if there is none, or it is for another colour space.
    """
    profile: object = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not profile:
        return None
    colours = profile[16:20].decode("latin-1").strip()  # the header's "data colour space", ICC.1 7.2.6
    return profile if colours == _PROFILE_COLOURS.get(image.mode, "RGB") else None


@cache
def srgb_profile() -> bytes:
    """Make the ICC profile of sRGB; always the same one, so that a file always has the same results.

    Returns:
        The profile. Pillow's own has the time at which it was made.
    """
    from PIL import ImageCms

    made = ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - Pillow leaves its return type out
    ).tobytes()
    return made[: _PROFILE_DATE.start] + _DATE + made[_PROFILE_DATE.stop :]


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Convert modes I;16, I and F to L; the range of I and F is taken from the pixels."""
    if image.mode.startswith("I;16"):
        return _scaled(image.convert("I"), 0, 0xFFFF)
    low, high = (float(value) for value in image.getextrema() if isinstance(value, int | float))
    known_tops = (1, 0xFF, 0xFFFF) if image.mode == "F" else (0xFF, 0xFFFF)
    if low >= 0:
        low, high = 0, next((top for top in known_tops if high <= top), high)
    return _scaled(image, low, high)


def _scaled(image: Image.Image, low: float, high: float) -> Image.Image:
    factor = 0xFF / (high - low) if high > low else 0.0
    offset = 0.5 - low * factor  # 0.5 to round, as the conversion to L truncates
    return image.point(lambda value: value * factor + offset).convert("L")


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    profile = matching_profile(image)
    if profile is None:
        return image.convert("RGB")
    from PIL import ImageCms

    try:
        rgb = ImageCms.profileToProfile(image, BytesIO(profile), BytesIO(srgb_profile()), outputMode="RGB")
    except ImageCms.PyCMSError:
        rgb = None
    return image.convert("RGB") if rgb is None else rgb
