"""Thumbnails: a small JPEG of an image or a video."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import require_content, written_whole
from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.images.orientation import stored_size, upright_size
from cl_client.local.tasks.images.pixels import matching_profile
from cl_client.local.tasks.images.shrinking import shrunk
from cl_client.local.tasks.images.webp_scaling import scaled_webp
from cl_client.local.tasks.media_types import detect_media_type

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.media_thumbnail import MediaThumbnailParams

_DEFAULT_SIDE: Final = 256
_JPEG_QUALITY: Final = 85
_JPEG_MAX_SIDE: Final = 65_500
"""Pixels; libjpeg's JPEG_MAX_DIMENSION."""


def run(context: TaskContext[MediaThumbnailParams]) -> JSONObject:
    """Create the thumbnail: fitted into the requested size, or stretched to it without the aspect ratio.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``media_type``.

    Raises:
        TaskFailedError: The file is neither an image nor a video, is damaged, or the size is out of range.
    """
    file = context.input_file
    require_content(file)
    is_video = detect_media_type(file) in {"video", "audio"}  # audio fails below
    context.report(10)
    if is_video:
        from cl_client.local.tasks.videos.representative_frame import representative_frame  # with PyAV

        thumbnail = representative_frame(file, partial(_thumbnail_size, context), context.warn)
    else:
        thumbnail = _thumbnail_of_picture(context)
    context.report(80)
    _write_jpeg(thumbnail, context.output_file)
    return {"media_type": "video" if is_video else "image"}


def _thumbnail_of_picture(context: TaskContext[MediaThumbnailParams]) -> Image.Image:
    with open_picture(context.input_file, context.warn) as image:
        size = _thumbnail_size(context, upright_size(image))
        # Decode a JPEG at 1/2, 1/4 or 1/8, not below this size: fast and with little memory for huge ones.
        image.draft(None, stored_size(image, size))
        enough = 2 * size[0], 2 * size[1]
        return shrunk(scaled_webp(image, context.input_file, enough) or image, size)


def _write_jpeg(picture: Image.Image, target: Path) -> None:
    with written_whole(target) as partial:
        picture.save(
            partial,
            format="JPEG",
            quality=_JPEG_QUALITY,
            optimize=True,
            icc_profile=matching_profile(picture),
            comment=b"",  # otherwise Pillow copies the original's comment
        )


def _thumbnail_size(context: TaskContext[MediaThumbnailParams], original: tuple[int, int]) -> tuple[int, int]:
    """Return width and height in pixels; with the aspect ratio kept, never more than the original's."""
    params = context.params
    width, height = params.width, params.height
    if width is None and height is None:
        width = height = _DEFAULT_SIDE
    own_width, own_height = original
    scale = min(
        width / own_width if width is not None else float("inf"),
        height / own_height if height is not None else float("inf"),
    )
    if params.maintain_aspect_ratio:
        scale = min(scale, 1)
    fitted = max(1, round(own_width * scale)), max(1, round(own_height * scale))
    if params.maintain_aspect_ratio:
        return fitted
    size = width or fitted[0], height or fitted[1]
    if max(size) > _JPEG_MAX_SIDE:
        raise TaskFailedError(
            f"{context.input_file.name}: a JPEG cannot have {size[0]} x {size[1]} pixels, "
            f"only up to {_JPEG_MAX_SIDE} per side"
        )
    return size
