"""The EXIF that a converted image keeps."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import ExifTags

from cl_client.local.tasks.conversion.tiff_writing import tiff_block
from cl_client.local.tasks.formats.tiff import SIZES, TiffReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from cl_client.local.tasks.conversion.tiff_writing import Directory
    from cl_client.local.tasks.formats.tiff import ByteOrder, Field

EXIF_MARK: Final = b"Exif\0\0"
_DOCUMENT_NAME: Final = 0x010D
_RATING_PERCENT: Final = 0x4749
_TIME_ZONE: Final = 0x882A
_SUBJECT_AREA: Final = 0x9214
_MAIN_TAGS: Final = frozenset(
    {
        _DOCUMENT_NAME,
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
        _RATING_PERCENT,
        ExifTags.Base.Copyright,
        _TIME_ZONE,
        ExifTags.Base.XPTitle,
        ExifTags.Base.XPComment,
        ExifTags.Base.XPAuthor,
        ExifTags.Base.XPKeywords,
        ExifTags.Base.XPSubject,
        ExifTags.Base.CameraSerialNumber,
    }
)
"""Tags that describe the image; the others of the main directory describe how its pixels were stored."""

_STALE_TAGS: Final = frozenset[int](
    {
        ExifTags.Base.CompressedBitsPerPixel,
        ExifTags.Base.ExifImageWidth,
        ExifTags.Base.ExifImageHeight,
        ExifTags.IFD.Interop,
    }
)
_PLACES_IN_THE_IMAGE: Final = frozenset[int]({_SUBJECT_AREA, ExifTags.Base.SubjectLocation})
"""Positions in pixels, which are others in a turned image."""
_INTEROP_TAGS: Final = frozenset({1, 2})
"""What tells Adobe RGB from sRGB where a camera stores no ICC profile; the others are sizes in pixels."""
_GEO_TIFF_TAGS: Final = (33550, 33922, 34264, 34735)
"""Where the pixels are on the map (OGC GeoTIFF 1.1)."""
_PREVIEW_TAGS: Final = frozenset({ExifTags.Base.JpegIFOffset, ExifTags.Base.StripOffsets})


@dataclass(frozen=True, slots=True)
class KeptExif:
    """EXIF of an upright copy.

    Attributes:
        directory: The main directory with its sub-directories.
        order: The byte order of its values.
    """

    directory: Directory
    order: ByteOrder

    def block(self) -> bytes:
        """Write it as the formats other than TIFF store it.

        Returns:
            A TIFF without pixels.
        """
        return tiff_block(self.directory, self.order)

    def without_maker_note(self) -> KeptExif:
        """Leave out the maker note, which is the longest part by far.

        Returns:
            The rest.
        """
        directory = dict(self.directory)
        details = directory.get(ExifTags.IFD.Exif)
        if isinstance(details, dict):
            directory[ExifTags.IFD.Exif] = {
                tag: field for tag, field in details.items() if tag != ExifTags.Base.MakerNote
            }
        return KeptExif(directory, self.order)


def exif_in_block(block: bytes, *, turned: bool, dropped: set[str]) -> KeptExif | None:
    """Take over what is in an EXIF block of a JPEG, PNG, WebP, HEIC, AVIF or PSD.

    Args:
        block: The block, with or without its mark.
        turned: Whether the copy is turned or mirrored.
        dropped: Collects what is not kept.

    Returns:
        The EXIF; None if there is none.
    """
    return exif_in_tiff(BytesIO(block.removeprefix(EXIF_MARK)), turned=turned, dropped=dropped, block=True)


def exif_in_tiff(
    stream: BinaryIO, *, turned: bool, dropped: set[str], block: bool = False
) -> KeptExif | None:
    """Take over the EXIF of a TIFF: camera, exposure, dates, people, GPS position.

    The embedded preview, the orientation and the size in pixels are left out, as they would no longer be
    correct.

    Args:
        stream: The file.
        turned: Whether the copy is turned or mirrored.
        dropped: Collects what is not kept.
        block: Whether it is an EXIF block, so that a second directory is a preview and not a page.

    Returns:
        The EXIF; None if there is none.
    """
    try:
        reader = TiffReader(stream)
    except ValueError:
        dropped.add("EXIF")
        return None
    main = reader.fields(
        reader.first, _MAIN_TAGS | {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, *_GEO_TIFF_TAGS}
    )
    if block:
        following = reader.entries(reader.first).following
        if following and reader.fields(following, _PREVIEW_TAGS):
            dropped.add("embedded preview")
        if not main and not reader.fields(reader.first):
            dropped.add("EXIF")
    if any(tag in main for tag in _GEO_TIFF_TAGS):
        dropped.add("GeoTIFF tags")
    kept = _copied({tag: field for tag, field in main.items() if tag in _MAIN_TAGS})
    details = _details(reader, main, turned=turned)
    if details:
        kept[ExifTags.IFD.Exif] = details
    place = _copied(reader.sub_directory(main, ExifTags.IFD.GPSInfo))
    if place:
        kept[ExifTags.IFD.GPSInfo] = place
    return KeptExif(kept, reader.order) if kept else None


def _details(reader: TiffReader, main: dict[int, Field], *, turned: bool) -> Directory:
    original = reader.sub_directory(main, ExifTags.IFD.Exif)
    left_out = _STALE_TAGS | _PLACES_IN_THE_IMAGE if turned else _STALE_TAGS
    details = _copied({tag: field for tag, field in original.items() if tag not in left_out})
    interop = reader.sub_directory(original, ExifTags.IFD.Interop)
    kept = _copied({tag: field for tag, field in interop.items() if tag in _INTEROP_TAGS})
    if kept:
        details[ExifTags.IFD.Interop] = kept
    return details


def _copied(fields: Mapping[int, Field]) -> Directory:
    """Leave out values of types that only BigTIFF has, as EXIF is never a BigTIFF."""
    return {tag: field for tag, field in fields.items() if field.kind in SIZES}
