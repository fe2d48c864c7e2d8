"""Conversion of an image to another format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.media.files import PIXEL_LIMIT, written_whole
from cl_client.local.tasks.media.images import displayable, flattened, matching_profile, open_picture, upright
from cl_client.local.tasks.pictures.converted_exif import exif_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from PIL import Image
    from PIL.ImageFile import ImageFile

    from cl_client._core.choices import ImageFormat
    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.image_conversion import ImageConversionParams

_DEFAULT_QUALITY: Final = 85
_DEFAULT_FRAME_MS: Final = 100
"""The duration that browsers use for a frame whose duration is zero or missing."""
_ANIMATED_SOURCES: Final = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
"""Formats whose frames are an animation; in others they are layers, previews or separate images."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The features of a format.

    Attributes:
        name: Pillow's name of the format.
        modes: Pixel modes, with or without alpha channel, that are written without conversion.
        max_side: Maximum of width and height in pixels; None if only memory is the limit.
        alpha: Whether transparency is kept; otherwise it becomes white.
        animated: Whether it supports more than one frame.
        lossy: Whether it has a quality setting.
        metadata: Whether it supports EXIF and an ICC profile.
    """

    name: str
    modes: frozenset[str]
    max_side: int | None = None
    alpha: bool = True
    animated: bool = True
    lossy: bool = False
    metadata: bool = True


_JPEG: Final = _Target(
    "JPEG", frozenset({"L", "RGB"}), max_side=65_500, alpha=False, animated=False, lossy=True
)
_TARGETS: Final[Mapping[ImageFormat, _Target]] = {
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "png": _Target("PNG", frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})),
    "webp": _Target("WEBP", frozenset({"RGB", "RGBA"}), max_side=16_383, lossy=True),
    "gif": _Target("GIF", frozenset({"1", "L", "P", "RGB", "RGBA"}), max_side=65_535, metadata=False),
    "bmp": _Target("BMP", frozenset({"1", "L", "P", "RGB"}), alpha=False, animated=False, metadata=False),
    "tiff": _Target("TIFF", frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "I", "F"})),
}


def run(context: TaskContext[ImageConversionParams]) -> JSONObject:
    """Convert the image: upright, with metadata, transparency and frames if the format supports them.

    Args:
        context: The job.

    Returns:
        The ``task_output``, which is empty.

    Raises:
        TaskFailedError: The file is not an image, is damaged, or is larger than the target format allows.
    """
    target = _TARGETS[context.params.format]
    file = context.input_file
    with open_picture(file, context.warn) as image:
        if target.max_side is not None and max(image.size) > target.max_side:
            width, height = image.size
            raise TaskFailedError(
                f"{file.name}: a {target.name} cannot have {width} x {height} pixels, "
                f"only up to {target.max_side} per side"
            )
        context.report(5)
        exif = exif_for(image) if target.metadata else None
        animation = _read(image, target, file, context.report)
        context.report(70)
        with written_whole(context.output_file) as partial:
            _write(animation, target, partial, quality=context.params.quality or _DEFAULT_QUALITY, exif=exif)
    return {}


@dataclass(frozen=True, slots=True)
class _Animation:
    """Frames ready for the target format; a still has one. ``loop`` is 0 for endless, None if not given."""

    frames: tuple[Image.Image, ...]
    durations_ms: tuple[int, ...]
    loop: int | None


def _read(image: ImageFile, target: _Target, file: Path, report: Callable[[int], None]) -> _Animation:
    follows = image.format in _ANIMATED_SOURCES or image.format == target.name
    count = _frame_count(image) if follows and target.animated else 1
    if count == 1:
        return _Animation((_fitted(upright(image), target),), (0,), None)
    frames: list[Image.Image] = []
    durations: list[int] = []
    pixels = 0
    for index in range(count):
        image.seek(index)
        pixels += image.width * image.height
        if pixels > PIXEL_LIMIT:
            raise TaskFailedError(
                f"{file.name}: its {count} frames exceed the limit of {PIXEL_LIMIT:,} pixels in total"
            )
        frame = _fitted(upright(image), target)
        frames.append(frame.copy() if frame is image else frame)
        durations.append(_duration_ms(image))
        report(5 + 65 * index // count)
    loop: object = image.info.get("loop")
    if target.name != "TIFF":  # all frames of an animation need the same mode
        mode = "RGBA" if any(frame.has_transparency_data for frame in frames) else "RGB"
        frames = [frame.convert(mode) for frame in frames]
    return _Animation(tuple(frames), tuple(durations), loop if isinstance(loop, int) else None)


def _frame_count(image: ImageFile) -> int:
    count: object = getattr(image, "n_frames", 1)
    return count if isinstance(count, int) else 1


def _duration_ms(image: ImageFile) -> int:
    duration: object = image.info.get("duration")
    return round(duration) if isinstance(duration, int | float) and duration > 0 else _DEFAULT_FRAME_MS


def _fitted(image: Image.Image, target: _Target) -> Image.Image:
    """Convert the image to a mode that the format supports, if necessary."""
    has_alpha_channel = image.mode in {"LA", "RGBA"}
    if image.mode in target.modes and has_alpha_channel == image.has_transparency_data:
        return image
    picture = displayable(image)
    if not target.alpha:
        picture = flattened(picture)
    if picture.mode not in target.modes:
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return picture


def _write(animation: _Animation, target: _Target, file: Path, *, quality: int, exif: bytes | None) -> None:
    first, *others = animation.frames
    options: dict[str, object] = {}
    if others:
        options |= {"save_all": True, "append_images": others}
        if target.name != "TIFF":
            options["duration"] = list(animation.durations_ms)
            options |= _loop_option(animation, target)
        if target.name == "GIF" and first.mode == "RGBA":
            options["disposal"] = 2  # clear the frame, or it would show through the next one
    if target.lossy:
        options["quality"] = quality
    if target.name == "TIFF" and not exif:  # Pillow can write EXIF directories only without libtiff's codecs
        options["compression"] = "tiff_lzw"
    if target.metadata:
        options["icc_profile"] = matching_profile(first)
    if exif:
        options["exif"] = exif
    first.save(file, format=target.name, **options)


def _loop_option(animation: _Animation, target: _Target) -> dict[str, object]:
    """Return the loop option: without one a GIF plays once, but other formats loop forever."""
    if animation.loop is not None:
        return {"loop": animation.loop}
    return {} if target.name == "GIF" else {"loop": 1}
