"""EXIF and other metadata of an image or video.

With ExifTool, a photo needs neither Pillow nor PyAV. They take longer to import than ExifTool takes for it,
so a file imports what it needs.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import write_json
from cl_client.local.tasks.formats.raw_kinds import raw_kind
from cl_client.local.tasks.formats.tiff_directories import tiff_directories
from cl_client.local.tasks.metadata.exiftool import read_with_exiftool
from cl_client.local.tasks.metadata.heif_properties import heif_properties
from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.exif_fields.display import orientation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pydantic import JsonValue

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.exif import ExifParams

_NOT_MEDIA: Final = "the file is not an image, video or audio in a supported format, so it has no metadata"
_MESSAGES: Final = ("ExifTool:Warning", "ExifTool:Error")
_UNKNOWN: Final = "Unknown file type"
_NO_FAULTS: Final = ("The ExtractEmbedded option may", "Fixed incorrect URI for xmlns")
"""Of messages about what ExifTool does, in files that are right or that it reads right."""


def run(context: TaskContext[ExifParams]) -> JSONObject:
    """Read the metadata, with ExifTool if it is installed, otherwise with Pillow.

    The typed fields are always filled, with or without `tags`, by the rules of `ExifOutput`. They are null if
    the file does not tell, and if it is not media, as on real servers.

    Args:
        context: The job.

    Returns:
        The ``task_output``: the typed fields, and ``raw_metadata`` with ExifTool's keys.

    Raises:
        TaskFailedError: The file cannot be read, or needs ExifTool, which is not installed.
    """
    raw = _read(context.input_file, context.warn)
    context.report(80)
    read = ExifOutput.model_validate({**_display(context.input_file, raw), "raw_metadata": raw})
    tags = context.params.tags
    output: JSONObject = {
        **read.model_dump(mode="json", exclude={"raw_metadata", "warnings"}),
        "raw_metadata": _restricted(raw, tags) if tags else raw,
    }
    if context.warnings:
        output["warnings"] = [*context.warnings]
    write_json(context.output_file, output)
    return output


def _read(file: Path, warn: Callable[[str], None]) -> JSONObject:
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        return _read_without_exiftool(file, warn)
    raw = read_with_exiftool(file, exiftool)
    if raw.get("ExifTool:Error") == _UNKNOWN and _is_picture(file):
        return _read_with_pillow(file, warn)
    for message in _messages(raw):
        warn(f"the metadata may be incomplete or wrong (ExifTool: {message})")
    is_media = str(raw.get("File:MIMEType")).startswith(("image/", "video/", "audio/"))
    if not is_media and not _is_media(file):
        warn(_NOT_MEDIA)
    return raw


def _read_without_exiftool(file: Path, warn: Callable[[str], None]) -> JSONObject:
    directories = tiff_directories(file)
    if not directories and (raw := raw_kind(file, directories)) is not None:
        raise TaskFailedError(
            f"{file.name}: metadata of RAW ({raw}) needs ExifTool, which is not installed on the server"
        )
    if directories or _is_picture(file):
        return _read_with_pillow(file, warn)
    from cl_client.local.tasks.videos.opening import stream_kind

    if (kind := stream_kind(file)) is not None:
        raise TaskFailedError(
            f"{file.name}: {kind} metadata needs ExifTool, which is not installed on the server"
        )
    warn(_NOT_MEDIA)
    return {"File:FileName": file.name, "File:FileSize": file.stat().st_size}


def _is_picture(file: Path) -> bool:
    from cl_client.local.tasks.images.opening import is_picture

    return is_picture(file)


def _is_media(file: Path) -> bool:
    from cl_client.local.tasks.media_types import detect_media_type

    return detect_media_type(file) != "unknown"


def _read_with_pillow(file: Path, warn: Callable[[str], None]) -> JSONObject:
    from cl_client.local.tasks.metadata.pillow_exif import read_with_pillow

    return read_with_pillow(file, warn)


def _messages(raw: JSONObject) -> list[str]:
    """List what ExifTool reports about the file; with several warnings of a file it writes a list."""
    found = (raw.get(key) for key in _MESSAGES)
    return [
        str(message)
        for value in found
        if value is not None
        for message in (value if isinstance(value, list) else [value])
        if not any(words in str(message) for words in _NO_FAULTS)
    ]


def _display(file: Path, raw: JSONObject) -> JSONObject:
    """Read the fields about size and orientation for which ExifTool's tags are not enough."""
    properties = heif_properties(file)
    if properties is not None:
        return {
            "image_width": properties.width,
            "image_height": properties.height,
            "orientation": properties.orientation,
            "display_width": properties.display_width,
            "display_height": properties.display_height,
        }
    if str(raw.get("File:MIMEType")).startswith("video/"):
        from cl_client.local.tasks.metadata.video_display import video_display

        return video_display(file, orientation(raw))
    return {}


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
