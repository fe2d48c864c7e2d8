"""WebP decoded at a smaller size by libvips, if it is installed: in half the time, and a tenth of the memory.

Pillow cannot, although libwebp can. For other formats, libvips is no faster than Pillow, or slower.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

from cl_client.local.tasks.images.orientation import stored_size

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.ImageFile import ImageFile

_MODES = {1: "L", 3: "RGB"}


def scaled_webp(image: ImageFile, file: Path, enough: tuple[int, int]) -> Image.Image | None:
    """Decode a WebP at a size that is enough.

    Args:
        image: The image, opened by Pillow, not decoded.
        file: Its file.
        enough: The least width and height, upright.

    Returns:
        The image, as stored; None to decode it with Pillow: it is of another format, has transparency or
        frames, is damaged or not much larger, or libvips is not installed.
    """
    if image.format != "WEBP" or image.mode != "RGB" or getattr(image, "n_frames", 1) != 1:
        return None
    least = stored_size(image, enough)
    scale = max(least[0] / image.width, least[1] / image.height)
    if scale > 1 / 2 or not is_installed():
        return None
    import pyvips

    try:
        vips = pyvips.Image.webpload(
            str(file.absolute()), scale=scale, access="sequential", fail_on="truncated"
        )
        pixels = vips.write_to_memory()
    except pyvips.Error:
        return None  # Pillow tells what is wrong
    mode = _MODES.get(vips.bands)
    if mode is None:
        return None
    scaled = Image.frombuffer(mode, (vips.width, vips.height), pixels, "raw", mode, 0, 1)
    scaled.info = image.info.copy()
    return scaled


@cache
def is_installed() -> bool:
    """Tell whether libvips is installed, and set it to one thread and to keep nothing.

    Returns:
        True if the package and its library can be loaded.
    """
    try:
        import pyvips
    except (ImportError, OSError):  # the package without the library
        return False
    pyvips.concurrency_set(1)  # the server has as many workers as it is meant to use cores
    pyvips.cache_set_max(0)
    return True
