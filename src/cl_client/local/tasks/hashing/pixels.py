"""The hash of an image's pixels, as Pillow decodes them.

It has to be the same on every server, so no repair of `images/` applies: no turning, no colour profile, no
development of raw photos.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO, Final

from PIL import Image, UnidentifiedImageError

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.formats.raw_kinds import raw_kind
from cl_client.local.tasks.formats.tiff_directories import tiff_directories
from cl_client.local.tasks.images.damage import DAMAGE_ERRORS
from cl_client.local.tasks.images.opening import picture_errors, pillow_settings
from cl_client.local.tasks.images.truncated import truncated_allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from PIL.ImageFile import ImageFile

_STRIP_BYTES: Final = 256 * 1024
"""Few enough to stay in the processor's cache, and in memory that Python uses again and again. With strips of
4 MiB, a photo of 2 megapixels takes 23 ms instead of 14, decoding included."""
_STRIPS_PER_REPORT: Final = 16
_DECODED: Final = 50
"""Percent; decoding takes about as long as hashing."""
_COMMON: Final = ("PNG", "BMP", "DIB", "GIF", "JPEG", "PPM")
"""The formats whose plugins Pillow imports first; those of all others take longer than most photos."""
_SIGNED: Final = ("TIFF", "HEIF")
"""Before formats without a signature, which Pillow tells by the sense that a header makes."""
_HASHED: Final = 99
_WITHOUT_FRAME_0: Final = frozenset({"PSD"})
"""Formats whose frames Pillow counts from 1. It opens them at what they show."""


def hash_pixels(file: Path, report: Callable[[int], None], warn: Callable[[str], None]) -> str:
    """Compute the SHA-512 of the decoded pixels: the first frame, in the file's own mode, as stored.

    Args:
        file: The image.
        report: Reports progress in percent.
        warn: Called if the image is truncated or damaged.

    Returns:
        The hash as hexadecimal digits.

    Raises:
        TaskFailedError: Pillow cannot decode the image, or it is larger than `PIXEL_LIMIT`.
        OSError: The file cannot be read.
    """
    with file.open("rb"):
        pass  # an unreadable file is not a damaged image
    try:
        return _hash_pixels(file, report, warn)
    except TaskFailedError as exc:
        raw = raw_kind(file, tiff_directories(file))
        cause = exc if raw is None else f"{file.name}: the pixels of RAW ({raw}) cannot be hashed"
        raise TaskFailedError(f"{cause}; the algorithm md5 hashes the bytes of any file") from exc


def _hash_pixels(file: Path, report: Callable[[int], None], warn: Callable[[str], None]) -> str:
    with picture_errors(file), pillow_settings():
        try:
            return _digest(file, report)
        except DAMAGE_ERRORS:
            with truncated_allowed():
                digest = _digest(file, report)
    warn("the image is truncated or damaged: the hash covers the pixels that could be decoded, and a filling")
    return digest


def _digest(file: Path, report: Callable[[int], None]) -> str:
    # A stream, because Pillow maps the file of a path into memory, and then refuses it if it is truncated.
    with file.open("rb") as stream, _identified(stream) as image:
        if image.format not in _WITHOUT_FRAME_0:
            image.seek(0)  # a HEIC file may begin with another one than its primary image
        # Loading may change the mode (ICNS), but not that of the bytes: tobytes() looks at it before.
        byte_mode = image.mode
        image.load()
        report(_DECODED)
        digest = hashlib.sha512(usedforsecurity=False)
        for number, (strip, percent) in enumerate(_strips(image, byte_mode), 1):
            digest.update(strip)
            if number % _STRIPS_PER_REPORT == 0 or percent == _HASHED:
                report(percent)
        return digest.hexdigest()


def _strips(image: Image.Image, byte_mode: str) -> Generator[tuple[bytes, int]]:
    """Yield what ``tobytes()`` returns, in parts to save memory, each with the progress."""
    rows = max(1, _STRIP_BYTES // max(1, len(_bytes(image, 0, 1, byte_mode))))
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        percent = _DECODED + (100 - _DECODED) * bottom // image.height
        yield _bytes(image, top, bottom, byte_mode), min(_HASHED, percent)


def _bytes(image: Image.Image, top: int, bottom: int, byte_mode: str) -> bytes:
    return image.crop((0, top, image.width, bottom)).tobytes("raw", byte_mode)


def _identified(stream: BinaryIO) -> ImageFile:
    """Open an image of any format of Pillow but EPS, for which it would run Ghostscript."""
    try:
        return Image.open(stream, formats=_COMMON)
    except UnidentifiedImageError:
        Image.init()
        others = [name for name in Image.ID if name not in {"EPS", *_COMMON, *_SIGNED}]
        return Image.open(stream, formats=[*_SIGNED, *others])
