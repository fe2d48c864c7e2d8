"""Camera raw files, recognized by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client._transfers.content_types import type_of_media
from cl_client.local.tasks.formats.tiff import TiffReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cl_client.local.tasks.formats.tiff_directories import TiffDirectory

_SENSOR_VALUES: Final = frozenset({32803, 34892})
"""PhotometricInterpretation: a colour filter array, linear raw. DNG 1.7, chapter 4."""
_BY_TYPE: Final[Mapping[str, str]] = {
    "image/x-canon-cr2": "Canon CR2",
    "image/x-canon-cr3": "Canon CR3",
    "image/x-canon-crw": "Canon CRW",
    "image/x-fujifilm-raf": "Fujifilm RAF",
    "image/x-minolta-mrw": "Minolta MRW",
    "image/x-olympus-orf": "Olympus ORF",
    "image/x-panasonic-rw2": "Panasonic RW2",
    "image/x-sigma-x3f": "Sigma X3F",
}
"""Those with a signature; the others are TIFFs with a sensor's values."""
_BY_MAKER: Final[Mapping[str, str]] = {
    "nikon": "Nikon NEF",
    "sony": "Sony ARW",
    "pentax": "Pentax PEF",
    "ricoh": "Pentax PEF",
    "samsung": "Samsung SRW",
    "hasselblad": "Hasselblad 3FR",
}
_MAKE, _DNG_VERSION = 271, 50706
_START: Final = 64
"""Bytes; enough for all signatures."""


def raw_kind(file: Path, directories: Sequence[TiffDirectory]) -> str | None:
    """Tell which kind of camera raw file a file is.

    Args:
        file: The file.
        directories: Its directories, if it is a TIFF, as most of these formats are.

    Returns:
        Maker and format, such as ``Canon CR3``; None if it is no raw file.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        start = stream.read(_START)
    kind = _BY_TYPE.get(type_of_media(start) or "")
    if kind is not None:
        return kind
    return _tiff_kind(file) if sensor_directory(directories) is not None else None


def sensor_directory(directories: Sequence[TiffDirectory]) -> TiffDirectory | None:
    """Find the sensor's values in a TIFF.

    Args:
        directories: The directories of a TIFF.

    Returns:
        The largest directory of them; None if there is none.
    """
    sensors = [directory for directory in directories if directory.photometric in _SENSOR_VALUES]
    return max(sensors, key=lambda directory: directory.width * directory.height, default=None)


def _tiff_kind(file: Path) -> str:
    with file.open("rb") as stream:
        reader = TiffReader(stream)
        tags = reader.fields(reader.first, {_MAKE, _DNG_VERSION})
    if _DNG_VERSION in tags:
        return "DNG"
    maker = tags[_MAKE].content.decode("latin-1").strip(" \0") if _MAKE in tags else ""
    known = (kind for start, kind in _BY_MAKER.items() if maker.lower().startswith(start))
    return next(known, maker or "TIFF")
