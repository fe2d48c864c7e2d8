"""How jobs fail on real servers, in their words, and what they leave out: see `local.real_faults`."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Annotated, Final, cast

from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from cl_client._transfers.content_types import type_of_content
from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.conversion.conversion_targets import TARGETS
from cl_client.local.tasks.files import write_json
from cl_client.local.tasks.media_types import detect_media_type
from cl_client.models import TaskParams
from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.hls_streaming import DEFAULT_VARIANTS

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.tasks.contract import ParamsT, TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.exif import ExifParams
    from cl_client.plugins.hash import HashParams
    from cl_client.plugins.image_conversion import ImageConversionParams

_HEAD_BYTES: Final = 4096
_PROBE_BYTES: Final = 32 * 1024
_BOX_HEAD: Final = struct.Struct(">I4s")
_FIRST_BOXES: Final = frozenset({b"ftyp", b"mdat", b"wide", b"free", b"skip"})
_ADDITIONS: Final = frozenset(
    {"created_at", "display_height", "display_width", "dropped", "engine", "taken_at", "warnings"}
)


class RealHlsVariant(BaseModel):
    """One quality level: a real server accepts null and leaves the failure to the worker."""

    model_config = ConfigDict(frozen=True)

    resolution: int | None = None
    bitrate: Annotated[int, Field(ge=100)] | None = None


_VARIANTS: Final = TypeAdapter(tuple[RealHlsVariant, ...])


def _parse_variants(variants: object) -> object:
    return _VARIANTS.validate_json(variants) if isinstance(variants, str) else variants


class RealHlsParams(TaskParams):
    """The parameters of `hls_streaming` that real servers accept."""

    variants: Annotated[tuple[RealHlsVariant, ...], BeforeValidator(_parse_variants), Field(min_length=1)] = (
        tuple(RealHlsVariant(resolution=one.resolution, bitrate=one.bitrate) for one in DEFAULT_VARIANTS)
    )
    include_original: bool = False


def hls_without_height_or_bitrate(context: TaskContext[RealHlsParams]) -> None:
    """Fail for a variant with a null, which a real server's FFmpeg cannot make.

    Args:
        context: The job.

    Raises:
        TaskFailedError: A variant has no resolution or no bitrate.
    """
    for variant in context.params.variants:
        if variant.resolution is None and variant.bitrate is None:
            raise TaskFailedError("original should be generated using addOriginal")
        if variant.resolution is None:
            name = "adaptive-orig.m3u8"
            raise TaskFailedError(f"the stream generated {name} is either invalid or partial or corrupted")
        if variant.bitrate is None:
            raise TaskFailedError("FFmpeg command failed")


def video_thumbnail(context: TaskContext[TaskParams]) -> None:
    """Fail for a video, which a real server looks for in the wrong folder.

    Args:
        context: The job.

    Raises:
        TaskFailedError: The file is a video.
    """
    if detect_media_type(context.input_file) == "video":
        raise TaskFailedError(f"Input file not found: input/{context.input_file.name}")


def thumbnail_of_such_pixels(context: TaskContext[TaskParams]) -> None:
    """Fail for an image whose pixels do not fit into a JPEG.

    Args:
        context: The job.

    Raises:
        TaskFailedError: Its pixels would have to be converted first.
    """
    _require_writable(_mode(context.input_file), "JPEG")


def conversion_of_such_pixels(context: TaskContext[ImageConversionParams]) -> None:
    """Fail for an image whose pixels do not fit into the target format.

    Args:
        context: The job.

    Raises:
        TaskFailedError: Its pixels would have to be converted first.
    """
    mode, target = _mode(context.input_file), TARGETS[context.params.format].name
    if target == "JPEG" and mode in {"RGBA", "P"}:
        return
    _require_writable(mode, target)


def thumbnail_on_c2(context: TaskContext[TaskParams]) -> None:
    """Fail for every file: a real server compares its media type with a pair.

    Args:
        context: The job.

    Raises:
        TaskFailedError: Always.
    """
    with context.input_file.open("rb") as file:
        mime_type = type_of_content(file.read(_HEAD_BYTES))
    kind = mime_type.partition("/")[0]
    media_type = kind if kind in {"image", "video", "audio", "text"} else "file"
    pair = f"({mime_type!r}, <MediaType.{media_type.upper()}: {media_type!r}>)"
    raise TaskFailedError(f"Unsupported media type: {pair}. Only image and video are supported.")


def hash_of_late_index(context: TaskContext[HashParams]) -> None:
    """Fail for a video that begins with its frames: a real server pipes it to ffprobe, which cannot go back.

    Args:
        context: The job.

    Raises:
        TaskFailedError: An MP4 or MOV has its index behind more frames than ffprobe keeps.
    """
    if context.params.algorithm == "sha512" and _index_position(context.input_file) > _PROBE_BYTES:
        raise TaskFailedError("No data returned from ffprobe.")


def hash_on_c2(_context: TaskContext[TaskParams]) -> None:
    """Fail for every file.

    Args:
        _context: The job.

    Raises:
        TaskFailedError: Always.
    """
    raise TaskFailedError("name 'logger' is not defined")


def metadata_as_raw_keys(context: TaskContext[ExifParams], output: JSONObject) -> JSONObject:
    """Leave the metadata where a real server leaves it: it fills typed fields only from keys without a group.

    Args:
        context: The job.
        output: Its ``task_output``.

    Returns:
        The ``task_output`` of a real server, also written to the job's file.
    """
    read = cast("JSONObject", output["raw_metadata"])
    tags = context.params.tags
    typed = ExifOutput.model_validate({"raw_metadata": read} if tags else {})
    file = context.input_file
    raw: JSONObject = {"SourceFile": str(file)}
    for key, value in read.items():
        raw[key] = value
        if key == "File:FileName":
            raw["File:Directory"] = str(file.parent)
    amended: JSONObject = {**typed.model_dump(mode="json", exclude={"raw_metadata"}), "raw_metadata": raw}
    result = without_additions(context, amended)
    write_json(context.output_file, result)
    return result


def without_additions(_context: TaskContext[ParamsT], output: JSONObject) -> JSONObject:
    """Leave out the fields that only the local server sends.

    Args:
        _context: The job.
        output: The ``task_output``.

    Returns:
        The rest.
    """
    return {key: value for key, value in output.items() if key not in _ADDITIONS}


def _index_position(file: Path) -> int:
    """Return where the index of an MP4 or MOV begins, if that is behind the frames; 0 for any other file."""
    position, frames_seen = 0, False
    with file.open("rb") as stream:
        while len(head := stream.read(16)) >= _BOX_HEAD.size:
            size, kind = cast("tuple[int, bytes]", _BOX_HEAD.unpack_from(head))
            if size == 1 and len(head) == 16:  # noqa: PLR2004 - a size of 64 bits follows the kind
                size = int.from_bytes(head[8:])
            if (position == 0 and kind not in _FIRST_BOXES) or size < _BOX_HEAD.size:
                return 0
            if kind == b"moov":
                return position if frames_seen else 0
            frames_seen |= kind == b"mdat"
            position += size
            stream.seek(position)
    return 0


def _mode(file: Path) -> str | None:
    """Return what Pillow calls the kind of an image's pixels; None if the file is not an image."""
    try:
        with Image.open(file) as image:
            return image.mode
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # the task names what is wrong


def _require_writable(mode: str | None, image_format: str) -> None:
    """Let Pillow write one pixel: its error does not depend on the others."""
    if mode is None:
        return
    try:
        Image.new(mode, (1, 1)).save(io.BytesIO(), image_format)
    except OSError as exc:
        raise TaskFailedError(str(exc)) from None
