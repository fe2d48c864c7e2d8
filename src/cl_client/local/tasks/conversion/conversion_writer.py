"""Writing of a converted image with its metadata."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from PIL import PngImagePlugin

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.conversion.animation_timing import loop_option
from cl_client.local.tasks.conversion.converted_exif import EXIF_MARK
from cl_client.local.tasks.conversion.converted_xmp import shortened_xmp
from cl_client.local.tasks.conversion.tiff_writing import add_fields
from cl_client.local.tasks.files import written_whole
from cl_client.local.tasks.formats import photoshop_resources, tiff
from cl_client.local.tasks.formats.tiff import Field
from cl_client.local.tasks.images.damage import DAMAGE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from cl_client.local.tasks.conversion.conversion_targets import Target
    from cl_client.local.tasks.conversion.picture_frames import Frames
    from cl_client.local.tasks.conversion.picture_metadata import Metadata
    from cl_client.local.tasks.conversion.tiff_writing import Directory

_MAX_JPEG_XMP: Final = photoshop_resources.MAX_SEGMENT - len("http://ns.adobe.com/xap/1.0/\0")
_PREDICTOR_TAG, _DIFFERENCES = 317, 2
_BYTE, _UNDEFINED = 1, 7
_PREDICTED_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "I;16"})
"""The modes in which differences of neighbours make LZW smaller: not palettes, and not floats."""


def write_picture(
    frames: Frames,
    metadata: Metadata,
    target: Target,
    output: Path,
    name: str,
    *,
    quality: int,
    dropped: set[str],
) -> None:
    """Write the result.

    Args:
        frames: Its frames.
        metadata: What the source says about the picture.
        target: The format.
        output: The file to write.
        name: The source's name, for messages.
        quality: 1-100, for lossy formats.
        dropped: Collects what the format cannot hold.

    Raises:
        TaskFailedError: It cannot be written.
    """
    options = _frame_options(frames, target) | _metadata_options(metadata, target, dropped)
    if target.lossy:
        options["quality"] = quality
    first, *_ = frames.images
    with written_whole(output) as partial, _write_errors(name, target):
        first.save(partial, format=target.name, **options)
        if target.name == "TIFF":
            _add_to_tiff(partial, metadata)


def _frame_options(frames: Frames, target: Target) -> dict[str, object]:
    first, *others = frames.images
    options: dict[str, object] = {}
    if others:
        options |= {"save_all": True, "append_images": others}
        if target.name != "TIFF":
            options["duration"] = list(frames.durations_ms)
            options |= loop_option(frames.plays, target.name)
        if target.name == "GIF" and "transparency" in first.info:
            options["disposal"] = 2  # clear the frame, or it would show through the next one
            options["optimize"] = False  # or Pillow drops the index where a frame does not use it
        if target.name == "PNG":
            options["default_image"] = False
    if target.name == "TIFF":
        options |= _tiff_options(frames)
    elif target.metadata:
        options["icc_profile"] = first.info.get("icc_profile")
    return options


def _tiff_options(frames: Frames) -> dict[str, object]:
    modes = {frame.mode for frame in frames.images}
    if modes == {"1"}:
        return {"compression": "group4"}
    options: dict[str, object] = {"compression": "tiff_lzw"}
    if modes <= _PREDICTED_MODES:
        options["tiffinfo"] = {_PREDICTOR_TAG: _DIFFERENCES}
    return options


def _metadata_options(metadata: Metadata, target: Target, dropped: set[str]) -> dict[str, object]:
    options: dict[str, object] = {}
    if metadata.dpi is not None and target.dpi:
        options["dpi"] = metadata.dpi
    if metadata.comment:
        if target.comment and len(metadata.comment) <= photoshop_resources.MAX_SEGMENT:
            options["comment"] = metadata.comment
        else:
            dropped.add("comment")
    if metadata.resources and not target.iptc and photoshop_resources.IPTC in metadata.resources:
        dropped.add("IPTC")
    if target.name == "JPEG":
        return options | _jpeg_options(metadata, dropped)
    if target.name == "PNG":
        options |= _png_options(metadata)
    elif metadata.texts:
        dropped.add("PNG text")
    if target.name == "WEBP":
        options["exif"] = metadata.exif.block() if metadata.exif is not None else b""
        options["xmp"] = metadata.xmp
    elif not target.metadata:
        dropped |= {word for word, part in (("EXIF", metadata.exif), ("XMP", metadata.xmp)) if part}
    return options


def _jpeg_options(metadata: Metadata, dropped: set[str]) -> dict[str, object]:
    options: dict[str, object] = {}
    if metadata.texts:
        dropped.add("PNG text")
    exif = _jpeg_exif(metadata, dropped)
    if exif:
        options["exif"] = exif
    xmp = metadata.xmp
    if len(xmp) > _MAX_JPEG_XMP:
        xmp = shortened_xmp(xmp, _MAX_JPEG_XMP)
        dropped.add("extended XMP" if xmp else "XMP")
    if xmp:
        options["xmp"] = xmp
    if metadata.resources:
        segment = photoshop_resources.jpeg_segment(metadata.resources)
        if segment is None:
            dropped.add("IPTC")
        else:
            options["extra"] = segment
    return options


def _jpeg_exif(metadata: Metadata, dropped: set[str]) -> bytes:
    if metadata.exif is None:
        return b""
    exif = EXIF_MARK + metadata.exif.block()
    if len(exif) > photoshop_resources.MAX_SEGMENT:
        exif = EXIF_MARK + metadata.exif.without_maker_note().block()
        dropped.add("maker note" if len(exif) <= photoshop_resources.MAX_SEGMENT else "EXIF")
    return exif if len(exif) <= photoshop_resources.MAX_SEGMENT else b""


def _png_options(metadata: Metadata) -> dict[str, object]:
    chunks = PngImagePlugin.PngInfo()
    for keyword, text in metadata.texts.items():
        chunks.add_text(keyword, text)
    if metadata.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode())
    options: dict[str, object] = {"pnginfo": chunks}
    if metadata.exif is not None:
        options["exif"] = metadata.exif.block()
    return options


def _add_to_tiff(file: Path, metadata: Metadata) -> None:
    """Add metadata to a TIFF: Pillow cannot write EXIF together with libtiff's compression."""
    exif = metadata.exif
    directory: Directory = dict(exif.directory) if exif is not None else {}
    if metadata.xmp:
        directory[tiff.XMP] = Field(_BYTE, metadata.xmp)
    resources = dict(metadata.resources)
    iptc = resources.get(photoshop_resources.IPTC)
    if iptc is not None:
        directory[tiff.IPTC] = Field(_UNDEFINED, iptc)
    if resources:
        directory[tiff.PHOTOSHOP] = Field(_BYTE, photoshop_resources.written_resources(resources))
    if directory:
        add_fields(file, directory, exif.order if exif is not None else "<")


@contextmanager
def _write_errors(name: str, target: Target) -> Generator[None]:
    """Tell errors of writing from those of the image."""
    try:
        yield
    except MemoryError as exc:
        raise TaskFailedError(f"{name}: not enough memory to write it as {target.name}") from exc
    except (*DAMAGE_ERRORS, struct.error) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise TaskFailedError(
                f"{name}: the result cannot be written to the server's disk: {exc.strerror}; "
                "make room there and submit the job again"
            ) from exc
        raise TaskFailedError(
            f"{name}: the image is intact, but cannot be written as {target.name} ({exc}); "
            "choose another format, or see whether the server's disk is full"
        ) from exc
