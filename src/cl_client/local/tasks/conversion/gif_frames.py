"""Frames of a GIF: at most 256 colours, each pixel transparent or opaque."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageChops

_COLOURS: Final = 256
_OPAQUE_FROM: Final = 128


def gif_still(image: Image.Image, dropped: set[str]) -> Image.Image:
    """Reduce an image to what a GIF can hold. Missing colours are mixed from dots of others.

    A pixel is transparent if its alpha is below a half; the others become opaque in their own colour, so that
    no edge of another colour shows on any background.

    Args:
        image: An image of 8 bits per channel, mode 1, L, P, RGB or RGBA; P without transparency.
        dropped: Collects what is lost.

    Returns:
        The image in mode 1, L or P. ``info["transparency"]`` is the index of transparent pixels, if any.
    """
    if image.mode in {"1", "L", "P"}:
        return image
    if image.mode == "RGB":
        return _reduced(image, _COLOURS, dithered=True, dropped=dropped)
    return _with_transparency(image, dithered=True, dropped=dropped)


def gif_frame(image: Image.Image, dropped: set[str]) -> Image.Image:
    """Reduce a frame of an animation, without dots, which would flicker.

    Args:
        image: A frame in mode RGB or RGBA.
        dropped: Collects what is lost.

    Returns:
        The frame in mode P, with room for one more colour unless it has exactly 256.
    """
    if image.mode == "RGBA":
        return _with_transparency(image, dithered=False, dropped=dropped)
    colours = _COLOURS if image.getcolors(_COLOURS) is not None else _COLOURS - 1
    return _reduced(image, colours, dithered=False, dropped=dropped)


def with_transparent_indexes(frames: list[Image.Image], dropped: set[str]) -> list[Image.Image]:
    """Let each frame have a transparent index if one of them does.

    A frame is cleared before the next one is shown. Pillow clears it to a colour if it has no such index.

    Args:
        frames: All frames, from `gif_frame`.
        dropped: Collects what is lost.

    Returns:
        The frames.
    """
    if not any("transparency" in frame.info for frame in frames):
        return frames
    return [frame if "transparency" in frame.info else _with_index(frame, dropped) for frame in frames]


def _with_transparency(image: Image.Image, *, dithered: bool, dropped: set[str]) -> Image.Image:
    alpha = image.getchannel("A")
    if any(alpha.histogram()[1:255]):
        dropped.add("partial transparency")
    transparent = alpha.point([255] * _OPAQUE_FROM + [0] * (256 - _OPAQUE_FROM), "1")
    colours = image.convert("RGB")
    if transparent.getbbox() is None:
        return _reduced(colours, _COLOURS - 1, dithered=dithered, dropped=dropped)
    # The colours under transparent pixels are arbitrary, and shall take no place in the palette.
    colours.paste(_some_opaque_colour(colours, transparent), mask=transparent)
    frame = _reduced(colours, _COLOURS - 1, dithered=dithered, dropped=dropped)
    frame.paste(_add_transparent_index(frame), mask=transparent)
    return frame


def _with_index(frame: Image.Image, dropped: set[str]) -> Image.Image:
    info = frame.info
    if len(frame.getpalette() or []) // 3 == _COLOURS:
        frame = _reduced(frame.convert("RGB"), _COLOURS - 1, dithered=False, dropped=dropped)
    frame.info = info
    _add_transparent_index(frame)
    return frame


def _add_transparent_index(frame: Image.Image) -> int:
    palette = frame.getpalette() or []
    index = len(palette) // 3
    frame.putpalette([*palette, 0, 0, 0])
    frame.info["transparency"] = index
    return index


def _reduced(image: Image.Image, colours: int, *, dithered: bool, dropped: set[str]) -> Image.Image:
    reduced = image.quantize(colours, Image.Quantize.MEDIANCUT)
    if image.getcolors(colours) is None:
        dropped.add("colours")
        if dithered:
            reduced = _dithered(image, reduced)
    reduced.info = {}
    return reduced


def _dithered(image: Image.Image, reduced: Image.Image) -> Image.Image:
    dithered = image.quantize(palette=reduced, dither=Image.Dither.FLOYDSTEINBERG)
    # Pillow finds the nearest colour only roughly: white becomes off-white, though the palette has white.
    red, green, blue = ImageChops.difference(image, reduced.convert("RGB")).split()
    exact = ImageChops.lighter(ImageChops.lighter(red, green), blue).point([255, *[0] * 255], "1")
    dithered.paste(reduced, mask=exact)
    return dithered


def _some_opaque_colour(image: Image.Image, transparent: Image.Image) -> tuple[int, int, int]:
    opaque = transparent.point([255, *[0] * 255], "1").getbbox()
    if opaque is None:
        return (0, 0, 0)
    left, top, right, _ = opaque
    row = transparent.crop((left, top, right, top + 1))
    x = left + next(x for x in range(row.width) if not row.getpixel((x, 0)))
    colour = image.getpixel((x, top))
    return colour if isinstance(colour, tuple) and len(colour) == 3 else (0, 0, 0)  # noqa: PLR2004 - red, green, blue
