"""Conversion of an image to another format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.conversion.conversion_targets import TARGETS
from cl_client.local.tasks.conversion.conversion_writer import write_picture
from cl_client.local.tasks.conversion.picture_frames import read_frames
from cl_client.local.tasks.conversion.picture_metadata import read_metadata
from cl_client.local.tasks.conversion.served_params import DEFAULT_QUALITY
from cl_client.local.tasks.images.opening import open_picture

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.ImageFile import ImageFile

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.local.tasks.conversion.conversion_targets import Target
    from cl_client.models import JSONObject
    from cl_client.plugins.image_conversion import ImageConversionParams


def run(context: TaskContext[ImageConversionParams]) -> JSONObject:
    """Convert the image: upright, with metadata, transparency and frames if the format supports them.

    Args:
        context: The job.

    Returns:
        The ``task_output``: what the result does not have of the original.

    Raises:
        TaskFailedError: The file is not an image, is damaged, or is larger than the target format allows; or
            the result cannot be written.
    """
    target = TARGETS[context.params.format]
    file = context.input_file
    dropped: set[str] = set()
    with open_picture(file, context.warn) as image:
        _require_size(image, target, file)
        context.report(5)
        metadata = read_metadata(image, file, dropped)
        frames = read_frames(image, target, file, context.report, dropped)
    # Outside of the block, which takes every error for damage of the image.
    context.report(70)
    quality = context.params.quality or DEFAULT_QUALITY
    write_picture(frames, metadata, target, context.output_file, file.name, quality=quality, dropped=dropped)
    return {"dropped": [*sorted(dropped)]}


def _require_size(image: ImageFile, target: Target, file: Path) -> None:
    if target.max_side is not None and max(image.size) > target.max_side:
        width, height = image.size
        raise TaskFailedError(
            f"{file.name}: a {target.name} cannot have {width} x {height} pixels, "
            f"only up to {target.max_side} per side; png and tiff can"
        )
