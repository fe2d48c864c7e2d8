"""The frames of an image, in the pixels that a format can hold."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from PIL import ExifTags, Image, ImageCms, TiffImagePlugin
from pydantic import TypeAdapter

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.conversion.animation_timing import plays, schedule, source_duration_ms
from cl_client.local.tasks.conversion.gif_frames import gif_frame, gif_still, with_transparent_indexes
from cl_client.local.tasks.files import PIXEL_LIMIT
from cl_client.local.tasks.formats.tiff_directories import tiff_directories
from cl_client.local.tasks.images.damage import DAMAGE_ERRORS
from cl_client.local.tasks.images.orientation import upright
from cl_client.local.tasks.images.pixels import (
    displayable,
    flattened,
    matching_profile,
    srgb_profile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from PIL.ImageFile import ImageFile

    from cl_client.local.tasks.conversion.conversion_targets import Target

_ANIMATED_SOURCES: Final = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
"""Formats whose frames are an animation; in others they are layers, previews or separate images."""
_WORDS: Final = {"TIFF": "pages", "PSD": "layers"} | dict.fromkeys(_ANIMATED_SOURCES, "animation")
_DEEP_MODES: Final = ("I", "F")
_BIG_ENDIAN_MODES: Final = frozenset({"I;16B", "I;16N"})
_KEPT_INFO: Final = ("icc_profile", "transparency")
_MOST_PAGES: Final = 5000
"""Pages of a TIFF. Pillow reads all pages before each one that it adds: 100,000 small ones take hours."""
_BITS: Final = 8
_PROFILE_TAG: Final = 34675
_NUMBERS = TypeAdapter(tuple[int, ...])
_PNG_DEPTH_AT: Final = 24
"""Where a PNG stores the bits per channel."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames ready for the target format; a still has one.

    Attributes:
        images: The frames. Of their ``info`` only ``icc_profile`` is left, and ``transparency`` of a GIF, so
            that Pillow writes nothing but what it is told to.
        durations_ms: How long each is shown.
        plays: How often the animation is shown; 0 for ever.
    """

    images: tuple[Image.Image, ...]
    durations_ms: tuple[float, ...] = (0,)
    plays: int = 1


def read_frames(
    image: ImageFile, target: Target, file: Path, report: Callable[[int], None], dropped: set[str]
) -> Frames:
    """Decode the image: upright, all its frames if the format supports them.

    Args:
        image: The opened image.
        target: The format.
        file: The same as a file.
        report: Reports progress, from 5 to 70.
        dropped: Collects what the format cannot hold.

    Returns:
        The frames.

    Raises:
        TaskFailedError: The frames are too large in total, or too many for a TIFF.
    """
    fitting = _Fitting(target, _is_deep(image, file), dropped)
    indexes = _frame_indexes(image, file)
    if len(indexes) > 1 and not (target.animated and _follows(image, target)):
        dropped.add(_WORDS.get(image.format or "", "other images"))
        indexes = indexes[:1]
    elif indexes and getattr(image, "default_image", False) is True:
        indexes = indexes[1:]  # the first image of such a PNG is only for programs that show no animations
    if target.name == "TIFF" and len(indexes) > _MOST_PAGES:
        raise TaskFailedError(
            f"{file.name}: its {len(indexes)} frames are too many for a TIFF, which can have "
            f"{_MOST_PAGES} pages here; png and webp can"
        )
    if len(indexes) > 1:
        return _read_animation(image, fitting, indexes, file, report)
    if indexes and image.format in _ANIMATED_SOURCES:
        image.seek(indexes[0])  # other formats stand at the picture itself, which may not be the first
    return Frames((fitting.fit(image),))


def _follows(image: ImageFile, target: Target) -> bool:
    return image.format in _ANIMATED_SOURCES or image.format == target.name


def _frame_indexes(image: ImageFile, file: Path) -> Sequence[int]:
    if image.format == "TIFF":  # without previews and the smaller levels of a pyramid
        pages = [one.frame for one in tiff_directories(file) if one.frame is not None and not one.reduced]
        return [page - pages[0] for page in pages]
    try:
        count: object = getattr(image, "n_frames", 1)
    except DAMAGE_ERRORS:  # of layers or further images; the one that is wanted may be intact
        return range(1)
    return range(count) if isinstance(count, int) else range(1)


def _read_animation(
    image: ImageFile, fitting: _Fitting, indexes: Sequence[int], file: Path, report: Callable[[int], None]
) -> Frames:
    frames: list[Image.Image] = []
    times: list[float] = []
    pixels = 0
    target = fitting.target
    for number, index in enumerate(indexes):
        image.seek(index)
        pixels += image.width * image.height
        if pixels > PIXEL_LIMIT:
            raise TaskFailedError(
                f"{file.name}: its {len(indexes)} frames exceed the limit of {PIXEL_LIMIT:,} pixels in total"
            )
        image.load()
        times.append(_start_or_duration(image))
        frames.append(fitting.fit(image, alone=False))
        report(5 + 65 * number // len(indexes))
    if target.name == "TIFF":
        if image.format in _ANIMATED_SOURCES:
            fitting.dropped.add("frame durations")
        return Frames(tuple(frames))
    if target.name == "GIF":
        frames = with_transparent_indexes(frames, fitting.dropped)
    else:  # all frames of an animation need the same mode
        mode = "RGBA" if any(frame.mode == "RGBA" for frame in frames) else "RGB"
        frames = [frame if frame.mode == mode else frame.convert(mode) for frame in frames]
    timed = schedule(_durations(times, image), target.name)
    return Frames(
        tuple(frames[one.number] for one in timed),
        tuple(one.duration_ms for one in timed),
        plays(image.info.get("loop"), image.format),
    )


def _start_or_duration(image: ImageFile) -> float:
    """Return a frame's duration; of an AVIF its start, as Pillow rounds each duration to a millisecond."""
    if image.format == "AVIF":
        start: object = image.info.get("timestamp")
        return start if isinstance(start, int | float) else 0
    return source_duration_ms(image.info.get("duration"), image.format)


def _durations(times: list[float], last: ImageFile) -> list[float]:
    if last.format != "AVIF":
        return times
    end = times[-1] + source_duration_ms(last.info.get("duration"), "AVIF")
    return [source_duration_ms(following - start, "AVIF") for start, following in pairwise([*times, end])]


@dataclass(frozen=True, slots=True)
class _Fitting:
    """Turns images upright and converts them to a mode that the format supports."""

    target: Target
    deep: bool
    dropped: set[str]

    def fit(self, image: ImageFile, *, alone: bool = True) -> Image.Image:
        """Convert the current frame. The result shares nothing with a frame that will be decoded later.

        Args:
            image: The image.
            alone: Whether it is a still.

        Returns:
            The frame.
        """
        image.load()
        if isinstance(image, TiffImagePlugin.TiffImageFile) and _PROFILE_TAG not in image.tag_v2:
            image.info.pop("icc_profile", None)  # Pillow leaves that of an earlier page
        profile: object = image.info.get("icc_profile")
        frame = self._in_a_mode_of_the_format(_little_endian(upright(image)))
        if frame is image and (not alone or isinstance(image, TiffImagePlugin.TiffImageFile)):
            frame = image.copy()  # not the file itself, from which Pillow would write all tags of a TIFF
        frame.info = {name: frame.info[name] for name in _KEPT_INFO if name in frame.info}
        if not self.target.metadata:
            frame = _in_srgb(frame)
        if self.target.name == "GIF":
            frame = gif_still(frame, self.dropped) if alone else self._gif_frame(frame)
        if self.deep and not frame.mode.startswith(_DEEP_MODES):
            self.dropped.add("bit depth")
        frame.info["icc_profile"] = matching_profile(frame) if self.target.metadata else None
        if profile and frame.info["icc_profile"] is None:
            self.dropped.add("ICC profile")
        return frame

    def _gif_frame(self, image: Image.Image) -> Image.Image:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        return gif_frame(image.convert(mode), self.dropped)

    def _in_a_mode_of_the_format(self, image: Image.Image) -> Image.Image:
        has_alpha_channel = image.mode in {"LA", "RGBA"}
        if image.mode in self.target.modes and has_alpha_channel == image.has_transparency_data:
            return image
        picture = displayable(image)
        if not self.target.alpha:
            if picture.mode.endswith("A") and picture.getchannel("A").getextrema() != (255, 255):
                self.dropped.add("transparency")
            picture = flattened(picture)
        if picture.mode not in self.target.modes:
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        return picture


def _little_endian(image: Image.Image) -> Image.Image:
    """Turn big-endian grey into the mode that formats support. Pillow's direct way clips it to 255."""
    return image.convert("I").convert("I;16") if image.mode in _BIG_ENDIAN_MODES else image


def _in_srgb(image: Image.Image) -> Image.Image:
    """Convert an image for a format that has no ICC profile; those without one are shown as sRGB."""
    profile = matching_profile(image)
    if profile is None or image.mode in {"1", "L", "LA"}:
        return image
    if image.mode == "P":
        image = image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image, BytesIO(profile), BytesIO(srgb_profile()), outputMode=image.mode
        )
    except (ImageCms.PyCMSError, OSError):  # a damaged profile
        return image
    return image if converted is None else converted


def _is_deep(image: ImageFile, file: Path) -> bool:
    """Tell whether an image has more than 8 bits per channel, also where Pillow reads only 8 of them."""
    if image.mode.startswith(_DEEP_MODES):
        return True
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits: object = image.tag_v2.get(ExifTags.Base.BitsPerSample)
        return isinstance(bits, tuple) and any(bit > _BITS for bit in _NUMBERS.validate_python(bits))
    if image.format == "PNG":
        with file.open("rb") as stream:
            header = stream.read(_PNG_DEPTH_AT + 1)
        return len(header) > _PNG_DEPTH_AT and header[_PNG_DEPTH_AT] > _BITS
    depth: object = image.info.get("bit_depth")  # of HEIF
    return isinstance(depth, int) and depth > _BITS
