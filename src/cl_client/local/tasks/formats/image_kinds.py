"""Names of image formats, by how files begin: of those that are not supported, and of damaged ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNSUPPORTED: Final[Mapping[tuple[int, bytes], str]] = {
    (0, b"\xff\x0a"): "JPEG XL",
    (0, b"\0\0\0\x0cJXL \r\n\x87\n"): "JPEG XL",
    (0, b"II\xbc"): "JPEG XR",
    (0, b"\xff\xd8\xff\xf7"): "JPEG-LS",
    (0, b"8BPS\0\x02"): "Photoshop PSB",
    (0, b"gimp xcf"): "GIMP XCF",
    (0, b"v/1\x01"): "OpenEXR",
    (0, b"#?RADIANCE"): "Radiance HDR",
    (0, b"#?RGBE"): "Radiance HDR",
    (0, b"BPG\xfb"): "BPG",
    (0, b"AT&TFORM"): "DjVu",
    (0, b"\xd7\xcd\xc6\x9a"): "Windows Metafile",
    (40, b" EMF"): "Windows Metafile",
    (128, b"DICM"): "DICOM",
    (0, b"%PDF-"): "PDF",
    (0, b"%!PS"): "PostScript",
    (0, b"\xc5\xd0\xd3\xc6"): "PostScript",
}
_DOCUMENTS: Final = frozenset({"PDF", "PostScript"})
_SUPPORTED: Final[Mapping[tuple[int, bytes], str]] = {
    (0, b"\xff\xd8\xff"): "JPEG",
    (0, b"\x89PNG"): "PNG",
    (0, b"GIF8"): "GIF",
    (8, b"WEBP"): "WebP",
    (4, b"ftypavi"): "AVIF",
    (4, b"ftyphei"): "HEIC",
    (4, b"ftypmif1"): "HEIF",
    (0, b"II*\0"): "TIFF",
    (0, b"MM\0*"): "TIFF",
    (0, b"II+\0"): "BigTIFF",
    (0, b"MM\0+"): "BigTIFF",
    (0, b"8BPS"): "Photoshop PSD",
    (4, b"jP  "): "JPEG 2000",
}
_START: Final = 1024


def unsupported_kind(file: Path) -> str | None:
    """Name the format of an image or document that is not supported.

    Args:
        file: The file.

    Returns:
        Its name, such as ``JPEG XL``; None for a format that is supported or not known.

    Raises:
        OSError: The file cannot be read.
    """
    start = _start(file)
    return _named(_UNSUPPORTED, start) or ("SVG" if _is_svg(start) else None)


def is_document(kind: str) -> bool:
    """Tell whether an unsupported format is one for documents instead of images.

    Args:
        kind: A name from `unsupported_kind`.

    Returns:
        True for PDF and PostScript.
    """
    return kind in _DOCUMENTS


def supported_kind(file: Path) -> str | None:
    """Name the format of a file that begins like an image in a supported format.

    Args:
        file: The file.

    Returns:
        Its name, such as ``AVIF``; None for other files.

    Raises:
        OSError: The file cannot be read.
    """
    return _named(_SUPPORTED, _start(file))


def _start(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_START)


def _named(kinds: Mapping[tuple[int, bytes], str], start: bytes) -> str | None:
    return next((kind for (at, mark), kind in kinds.items() if start.startswith(mark, at)), None)


def _is_svg(start: bytes) -> bool:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<") and b"<svg" in text
