"""Images of any format: opened with clear errors, turned upright, converted to 8 bits per channel."""

from __future__ import annotations

import struct
import warnings
import zlib
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.media.files import PIXEL_LIMIT, require_content
from cl_client.local.tasks.media.tiff_directories import tiff_directories
from cl_client.local.tasks.media.tiff_pictures import with_first_directory
from cl_client.local.tasks.media.truncated import shown_as_far_as_it_goes
from cl_client.local.tasks.media.videos import stream_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from PIL.ImageFile import ImageFile

# Pillow supports more, but opens MPEG videos as images, runs Ghostscript on EPS, and guesses at TGA.
_FORMATS: Final = (
    "JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "DIB", "HEIF", "AVIF", "JPEG2000", "ICO", "ICNS",
    "PPM", "PSD", "QOI", "SGI", "PCX", "DDS",
)  # fmt: skip

DAMAGE_ERRORS: Final = (
    OSError, ValueError, SyntaxError, EOFError, RuntimeError, LookupError, ArithmeticError, TypeError,
    struct.error, zlib.error,
)  # fmt: skip
"""The exceptions of Pillow's decoders on damaged data, besides `UnidentifiedImageError`."""

_PROFILE_COLOURS: Final = {"L": "GRAY", "LA": "GRAY", "I;16": "GRAY", "P": "RGB", "CMYK": "CMYK"}
SWAPPED_ORIENTATIONS: Final = frozenset({5, 6, 7, 8})
"""The EXIF orientations that swap width and height."""


@contextmanager
def open_picture(file: Path, warn: Callable[[str], None]) -> Generator[ImageFile]:
    """Open an image. Its pixels are decoded on first use, which must be inside the block.

    Args:
        file: The image.
        warn: Called with each problem that does not prevent the image from being used, and its consequence;
            also later, while the block uses the image.

    Yields:
        The image, as stored.

    Raises:
        TaskFailedError: The file is empty, not an image, truncated, damaged, or larger than `PIXEL_LIMIT`.
            Also raised for errors of Pillow inside the block.
    """
    require_content(file)
    with (
        _picture_errors(file),
        _pillow_settings(),
        _opened(file, warn) as image,
        shown_as_far_as_it_goes(image, warn),
    ):
        yield image


@contextmanager
def _opened(file: Path, warn: Callable[[str], None]) -> Generator[ImageFile]:
    directories = tiff_directories(file)
    full = next((directory for directory in directories if not directory.reduced), None)
    if full is None or full.frame == 0:
        with Image.open(file, formats=_FORMATS) as image:
            if directories and full is None:
                warn(f"the file has only a reduced picture, of {image.width} x {image.height} pixels")
            yield image
    else:
        with with_first_directory(file, full) as stream, Image.open(stream, formats=("TIFF",)) as image:
            yield image


def is_picture(file: Path) -> bool:
    """Tell whether a file has the header of an image.

    Args:
        file: The file.

    Returns:
        True also for an image that is damaged after its header, or too large.
    """
    with _pillow_settings():
        try:
            with _opened(file, lambda _: None):
                return True
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return True
        except DAMAGE_ERRORS:
            return False


@cache
def _register_heif() -> None:
    pillow_heif.register_heif_opener()


@contextmanager
def _pillow_settings() -> Generator[None]:
    """Set our pixel limit (Pillow's is lower and partly only a warning) and ignore its other warnings."""
    _register_heif()
    previous_limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = previous_limit


@contextmanager
def _picture_errors(file: Path) -> Generator[None]:
    try:
        yield
    except UnidentifiedImageError as exc:
        raise TaskFailedError(
            f"{file.name}: not an image in a supported format ({_describe_content(file)})"
        ) from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise TaskFailedError(
            f"{file.name}: the image is larger than the limit of {PIXEL_LIMIT:,} pixels"
        ) from exc
    except MemoryError as exc:
        raise TaskFailedError(f"{file.name}: not enough memory for this image") from exc
    except DAMAGE_ERRORS as exc:
        raise TaskFailedError(f"{file.name}: the image {_describe_damage(exc, file)}") from exc


def _describe_damage(exc: BaseException, file: Path) -> str:
    cause = str(exc).replace(str(file), file.name) or type(exc).__name__
    truncated = isinstance(exc, EOFError) or "truncated" in cause.lower() or "end of file" in cause.lower()
    return f"is {'truncated' if truncated else 'damaged'} ({cause})"


def _describe_content(file: Path) -> str:
    kind = stream_kind(file)
    if kind is not None:
        return "a video" if kind == "video" else "audio"
    with file.open("rb") as stream:
        start = stream.read(512)
    # The sample may end within a UTF-8 character, which does not make it binary.
    is_text = b"\0" not in start and "\ufffd" not in start.decode(errors="replace")[:-1]
    return "text" if is_text else "damaged, or an unknown format"


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image.

    Args:
        image: The image.

    Returns:
        1-8; 1, upright, if the image has none or its EXIF is damaged.
    """
    if image.format == "TIFF":  # Pillow turns a TIFF upright itself when it loads it
        return 1
    try:
        value: object = image.getexif().get(ExifTags.Base.Orientation)
    except DAMAGE_ERRORS:
        return 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the size of an image after turning it upright.

    Args:
        image: The image, as stored.

    Returns:
        Width and height in pixels.
    """
    return stored_size(image, image.size)


def stored_size(image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    """Convert a size between the stored and the upright image; the same in both directions.

    Args:
        image: The image, as stored.
        size: Width and height in pixels.

    Returns:
        Width and height, swapped if the EXIF orientation swaps them.
    """
    width, height = size
    return (height, width) if orientation(image) in SWAPPED_ORIENTATIONS else (width, height)


def upright(image: Image.Image) -> Image.Image:
    """Rotate and mirror an image according to its EXIF orientation.

    Args:
        image: The image, as stored.

    Returns:
        The upright image; the same object if it is already upright.
    """
    return image if orientation(image) == 1 else ImageOps.exif_transpose(image)


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
    return image if image.mode == mode else image.convert(mode)


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
    flat.paste(image.convert(base), mask=image.getchannel("A"))
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
    srgb = ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - Pillow leaves its return type out
    )
    try:
        rgb = ImageCms.profileToProfile(image, BytesIO(profile), srgb, outputMode="RGB")
    except ImageCms.PyCMSError:
        rgb = None
    return image.convert("RGB") if rgb is None else rgb
