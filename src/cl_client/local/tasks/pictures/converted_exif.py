"""The EXIF that a converted image keeps."""

from __future__ import annotations

from typing import Final

from PIL import ExifTags, Image

from cl_client.local.tasks.media.images import DAMAGE_ERRORS

_MAIN_TAGS: Final = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Rating,
    ExifTags.Base.Copyright,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)
"""Tags that describe the image; the others of the main directory describe how its pixels were stored."""


_STALE_TAGS: Final = frozenset[int](
    {ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.IFD.Interop}
)
_MAX_LENGTH: Final = 65_533
"""Bytes that fit into the single EXIF segment of a JPEG; the other formats allow more."""


def exif_for(image: Image.Image) -> bytes:
    """Copy the image's EXIF for an upright copy of the image.

    Camera, exposure, dates and GPS position are kept. The embedded preview, the orientation and the size in
    pixels are dropped, as they would no longer be correct.

    Args:
        image: The original image.

    Returns:
        The EXIF data; empty if there is none, or it cannot be read.
    """
    try:
        original = image.getexif()
        exif = _copied(original, dropped=_STALE_TAGS)
        if len(exif) > _MAX_LENGTH:
            exif = _copied(original, dropped=_STALE_TAGS | {ExifTags.Base.MakerNote})
    except DAMAGE_ERRORS:  # damaged EXIF does not make the image unusable
        return b""
    return exif if len(exif) <= _MAX_LENGTH else b""


def _copied(original: Image.Exif, *, dropped: frozenset[int]) -> bytes:
    copy = Image.Exif()
    for tag in _MAIN_TAGS:
        if tag in original:
            copy[tag] = original[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        content = {tag: value for tag, value in _directory(original, directory).items() if tag not in dropped}
        if content:
            copy[directory] = content
    return copy.tobytes() if len(copy) else b""


def _directory(exif: Image.Exif, directory: ExifTags.IFD) -> dict[int, object]:
    return dict(exif.get_ifd(directory))
