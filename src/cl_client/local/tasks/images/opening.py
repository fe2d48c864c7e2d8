"""Images of any format: opened with clear errors, turned upright, converted to 8 bits per channel."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import PIXEL_LIMIT, require_content
from cl_client.local.tasks.formats.image_kinds import is_document, supported_kind, unsupported_kind
from cl_client.local.tasks.formats.raw_kinds import raw_kind
from cl_client.local.tasks.formats.tiff_directories import full_size_directory, tiff_directories
from cl_client.local.tasks.images.avif_repair import repaired_avif
from cl_client.local.tasks.images.damage import DAMAGE_ERRORS
from cl_client.local.tasks.images.raw_photos import RawPhoto
from cl_client.local.tasks.images.still_colours import shown_in_srgb
from cl_client.local.tasks.images.tiff_pictures import with_first_directory
from cl_client.local.tasks.images.tiff_pixels import libtiff_for_all, needs_libtiff, with_white_as_white
from cl_client.local.tasks.images.truncated import shown_as_far_as_it_goes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from PIL.ImageFile import ImageFile

    from cl_client.local.tasks.formats.tiff_directories import TiffDirectory

# Pillow supports more, but opens MPEG videos as images, runs Ghostscript on EPS, and guesses at TGA.
_COMMON_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "DIB", "PPM", "HEIF")
"""Those that `pillow_settings` registers."""
_OTHER_FORMATS: Final = (
    "WEBP", "TIFF", "AVIF", "JPEG2000", "ICO", "ICNS", "PSD", "QOI", "SGI", "PCX", "DDS",
)  # fmt: skip


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
        picture_errors(file),
        pillow_settings(),
        _opened(file, warn) as image,
        shown_as_far_as_it_goes(image, warn),
        with_white_as_white(image),
        shown_in_srgb(image, file),
    ):
        yield image


@contextmanager
def _opened(file: Path, warn: Callable[[str], None]) -> Generator[ImageFile]:
    directories = tiff_directories(file)
    kind = raw_kind(file, directories)
    if kind is None:
        with _opened_unless_raw(file, directories, warn) as image:
            yield image
        return
    with RawPhoto(file, kind, directories) as photo:
        if photo.width * photo.height > PIXEL_LIMIT:
            raise Image.DecompressionBombError
        yield photo


@contextmanager
def _opened_unless_raw(
    file: Path, directories: Sequence[TiffDirectory], warn: Callable[[str], None]
) -> Generator[ImageFile]:
    full = full_size_directory(directories)
    if full is None or full.frame == 0:
        repaired = repaired_avif(file)
        with _opened_by_pillow(repaired or file) as image:
            if directories and full is None:
                warn(f"the file has only a reduced picture, of {image.width} x {image.height} pixels")
            yield image
    else:
        with with_first_directory(file, full) as stream, _opened_by_pillow(stream) as image:
            yield image


@contextmanager
def _opened_by_pillow(source: Path | BinaryIO) -> Generator[ImageFile]:
    with _identified(source) as image:
        if not needs_libtiff(image):
            yield image
            return
    with libtiff_for_all(), Image.open(source, formats=("TIFF",)) as image:
        yield image


def _identified(source: Path | BinaryIO) -> ImageFile:
    try:
        return Image.open(source, formats=_COMMON_FORMATS)
    except UnidentifiedImageError:
        _register_others()
        return Image.open(source, formats=_OTHER_FORMATS)


def is_picture(file: Path) -> bool:
    """Tell whether a file has the header of an image.

    Args:
        file: The file.

    Returns:
        True also for an image that is damaged after its header, too large, or in a known format that is not
        supported.
    """
    with pillow_settings():
        try:
            directories = tiff_directories(file)
            if raw_kind(file, directories) is not None:  # LibRaw is slow, and would tell nothing more
                return True
            with _opened_unless_raw(file, directories, lambda _: None):
                return True
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return True
        except DAMAGE_ERRORS:
            kind = unsupported_kind(file)
            return kind is not None and not is_document(kind)


@cache
def _register_common() -> None:
    Image.preinit()
    Image.register_open("HEIF", _open_heif, lambda head: head[4:8] == b"ftyp")


def _open_heif(stream: IO[bytes], name: str | bytes) -> ImageFile:
    """Open the first HEIC: only then, pillow-heif is imported and takes the place of this function."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    open_as_heif, is_heif = Image.OPEN["HEIF"]
    head = stream.read(16)
    stream.seek(0)
    if is_heif is None or not is_heif(head):
        raise SyntaxError("not a HEIC")
    return open_as_heif(stream, name)


@cache
def _register_others() -> None:
    """Import their plugins. Pillow itself would import those of all its formats, which takes longer."""
    for name in ("WebP", "Tiff", "Avif", "Jpeg2K", "Ico", "Icns", "Psd", "Qoi", "Sgi", "Pcx", "Dds"):
        import_module(f"PIL.{name}ImagePlugin")


@contextmanager
def pillow_settings() -> Generator[None]:
    """Set our limits (Pillow's are lower, and partly only a warning) and ignore its other warnings.

    Yields:
        Nothing.
    """
    _register_common()
    previous_limit, previous_chunk = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
    # Also of ICC profiles: those of measured screens and scanners may have more than Pillow's 1 MB.
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = previous_limit, previous_chunk


@contextmanager
def picture_errors(file: Path) -> Generator[None]:
    """Convert the exceptions of Pillow in the block to `TaskFailedError`.

    Args:
        file: The image, for the message.

    Yields:
        Nothing.

    Raises:
        TaskFailedError: The file is not an image, damaged, or larger than `PIXEL_LIMIT`.
    """
    try:
        yield
    except UnidentifiedImageError as exc:
        raise TaskFailedError(f"{file.name}: {_describe_content(file)}") from exc
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
    """Say why Pillow does not know a file."""
    unsupported = unsupported_kind(file)
    if unsupported is not None:
        return f"not an image in a supported format ({unsupported}); convert it to JPEG or PNG first"
    supported = supported_kind(file)
    if supported is not None:
        return f"the image is damaged, truncated or of a rare kind of {supported} that is not supported"
    return f"not an image in a supported format ({_describe_other_content(file)})"


def _describe_other_content(file: Path) -> str:
    from cl_client.local.tasks.videos.opening import stream_kind  # with PyAV

    kind = stream_kind(file)
    if kind is not None:
        return "a video" if kind == "video" else "audio"
    with file.open("rb") as stream:
        start = stream.read(512)
    # The sample may end within a UTF-8 character, which does not make it binary.
    is_text = b"\0" not in start and "\ufffd" not in start.decode(errors="replace")[:-1]
    return "text" if is_text else "damaged, or an unknown format"
