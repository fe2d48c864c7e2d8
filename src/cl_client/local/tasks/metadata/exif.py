"""EXIF and other metadata of an image or video."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.media.files import require_content, write_json
from cl_client.local.tasks.media.images import is_picture
from cl_client.local.tasks.media.media_types import detect_media_type
from cl_client.local.tasks.media.videos import stream_kind
from cl_client.local.tasks.metadata.exiftool import read_with_exiftool
from cl_client.local.tasks.metadata.pillow_exif import read_with_pillow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pydantic import JsonValue

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.exif import ExifParams

_TEXT_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "make": ("EXIF:Make", "XMP:Make", "QuickTime:Make", "QuickTime:AndroidMake"),
    "model": ("EXIF:Model", "XMP:Model", "QuickTime:Model", "QuickTime:AndroidModel"),
    "date_time_original": (
        "EXIF:DateTimeOriginal",
        "XMP:DateTimeOriginal",
        "QuickTime:DateTimeOriginal",
        "QuickTime:CreationDate",
    ),
    "create_date": ("EXIF:CreateDate", "XMP:CreateDate", "QuickTime:CreateDate"),
    "software": ("EXIF:Software", "PNG:Software", "XMP:CreatorTool", "QuickTime:Software"),
}
"""The tags from which each field is read, the most reliable first."""
_NUMBER_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "f_number": ("EXIF:FNumber", "XMP:FNumber"),
    "exposure_time": ("EXIF:ExposureTime", "XMP:ExposureTime"),
    "focal_length": ("EXIF:FocalLength", "XMP:FocalLength"),
    "gps_latitude": ("Composite:GPSLatitude",),
    "gps_longitude": ("Composite:GPSLongitude",),
    "gps_altitude": ("Composite:GPSAltitude",),
}
_INTEGER_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "orientation": ("EXIF:Orientation", "XMP:Orientation"),
    "iso": ("EXIF:ISO", "XMP:ISO", "XMP:PhotographicSensitivity"),
}
_NO_DATE: Final = "0000:00:00 00:00:00"
"""The date that cameras without a clock and video encoders write."""


def run(context: TaskContext[ExifParams]) -> JSONObject:
    """Read the metadata, with ExifTool if it is installed, otherwise with Pillow.

    The typed fields are always filled, with or without `tags`; they are null for an image without EXIF.

    Args:
        context: The job.

    Returns:
        The ``task_output``: the typed fields, and ``raw_metadata`` with ExifTool's keys.

    Raises:
        TaskFailedError: The file is not media, or needs ExifTool, which is not installed.
    """
    raw = _read(context.input_file, context.warn)
    context.report(80)
    tags = context.params.tags
    output: JSONObject = {**_typed_fields(raw), "raw_metadata": _restricted(raw, tags) if tags else raw}
    write_json(context.output_file, output)
    return output


def _read(file: Path, warn: Callable[[str], None]) -> JSONObject:
    require_content(file)
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        if not is_picture(file) and (kind := stream_kind(file)):
            raise TaskFailedError(
                f"{file.name}: {kind} metadata needs ExifTool, which is not installed on the server"
            )
        return read_with_pillow(file, warn)
    raw = read_with_exiftool(file, exiftool)
    is_media = str(raw.get("File:MIMEType")).startswith(("image/", "video/", "audio/"))
    if not is_media and detect_media_type(file) == "unknown":
        raise TaskFailedError(f"{file.name}: not media in a supported format ({raw.get('File:FileType')})")
    return raw


def _restricted(raw: JSONObject, tags: Sequence[str]) -> JSONObject:
    """Select the requested tags, ignoring case, under the requested names: with or without a group."""
    by_name: dict[str, JsonValue] = {}
    for key, value in raw.items():
        group, _, name = key.rpartition(":")
        by_name[key.lower()] = value
        if group == "Composite":  # has the sign that EXIF stores in another tag
            by_name[name.lower()] = value
        else:
            by_name.setdefault(name.lower(), value)
    return {tag: by_name[tag.lower()] for tag in tags if tag.lower() in by_name}


def _typed_fields(raw: JSONObject) -> JSONObject:
    texts = {field: _first_text(raw, keys) for field, keys in _TEXT_SOURCES.items()}
    numbers = {field: _first_number(raw, keys) for field, keys in _NUMBER_SOURCES.items()}
    integers = {field: _first_integer(raw, keys) for field, keys in _INTEGER_SOURCES.items()}
    width, height = _image_size(raw)
    return {**texts, **numbers, **integers, "image_width": width, "image_height": height}


def _image_size(raw: JSONObject) -> tuple[int | None, int | None]:
    """Return width and height in pixels as stored, before the orientation is applied."""
    parts = str(raw.get("Composite:ImageSize", "")).replace("x", " ").split()
    match parts:
        case [width, height] if width.isdecimal() and height.isdecimal():
            return int(width), int(height)
        case _:
            return _first_integer(raw, ("File:ImageWidth",)), _first_integer(raw, ("File:ImageHeight",))


def _first_text(raw: JSONObject, keys: Sequence[str]) -> str | None:
    texts = (str(raw[key]).strip() for key in keys if raw.get(key) is not None)
    return next((text for text in texts if text and not text.startswith(_NO_DATE)), None)


def _first_number(raw: JSONObject, keys: Sequence[str]) -> float | None:
    numbers = (raw[key] for key in keys if key in raw)
    return next(
        (number for number in numbers if isinstance(number, int | float) and math.isfinite(number)), None
    )


def _first_integer(raw: JSONObject, keys: Sequence[str]) -> int | None:
    """Return the first integer; of several values in a tag, as some cameras write for ISO, the first one."""
    texts = (str(raw[key]).partition(" ")[0] for key in keys if key in raw)
    return next((int(text) for text in texts if text.isdecimal()), None)
