"""The nine tasks for the command line: their names, and how their results are saved and printed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from pydantic import ValidationError
from rich.filesize import decimal

from cl_client.exceptions import InvalidResponseError
from cl_client_cli.frame.whole_files import written_durably

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pydantic import BaseModel

    from cl_client import ComputeClient, JobResponse, JSONObject, TaskParams
    from cl_client.options import PluginOutputT
    from cl_client.plugins.base import PluginParamsT
    from cl_client.plugins.embedding import EmbeddingClient, EmbeddingParamsT, EmbeddingT
    from cl_client.plugins.exif import ExifOutput
    from cl_client.plugins.face_detection import FaceDetectionOutput
    from cl_client.plugins.file_result import FileResultClient
    from cl_client.plugins.hash import HashResult
    from cl_client.plugins.hls_streaming import HlsStreamingClient

Media: TypeAlias = Literal["picture", "raw", "video"]

_HASH_DIGITS: Final = 16
_HASHED: Final = {"pixels": "pixels", "key_frames": "key frames", "bytes": "bytes"}
_UNIT_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of a job.

    Attributes:
        summary: The result in a few words.
        data: The result for programs.
        files: The files that were saved, the result itself first.
        text: The text to print for a single file; None to print the summary.
    """

    summary: str
    data: JSONObject
    files: tuple[Path, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class TaskKind:
    """How the command line uses a task.

    Attributes:
        task: The server's name of the task.
        fetch: Reads the result, and saves it at a path if one is given.
        suffix: The suffix of results, instead of the inputs' suffixes.
        suits: The kinds of files that it can process; None for all files.
        is_file: Whether the result is a file to save, rather than data to read.
        is_folder: Whether the result is a folder.
        beside: Returns the folder of a result's additional files; None if it has none.
    """

    task: str
    fetch: Callable[[ComputeClient, JobResponse, Path | None], Awaitable[TaskResult]]
    suffix: str
    suits: tuple[Media, ...] | None = ("picture",)
    is_file: bool = False
    is_folder: bool = False
    beside: Callable[[Path], Path] | None = None


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Format a number with its noun: ``no faces``, ``1 face``, ``2 faces``.

    Args:
        count: The number.
        singular: The noun.
        plural: Its plural; None to append an s.

    Returns:
        The text.
    """
    return f"{count or 'no'} {singular if count == 1 else plural or f'{singular}s'}"


async def _hash(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    content = await client.hash.read(job)  # once, for the result and its file
    result = _hash_result(content, job)
    covers = ""
    if result.hashed is not None and result.algorithm != "md5":  # md5 always covers the bytes
        covers = f" ({_HASHED[result.hashed]})"
    return TaskResult(
        f"{result.algorithm} {result.hash_value[:_HASH_DIGITS]}...{covers}",
        {**_as_json(result), "hashed": result.hashed},
        () if target is None else (await asyncio.to_thread(_write, target, content),),
        f"{result.hash_value}  {result.algorithm}{covers}",
    )


def _hash_result(content: bytes, job: JobResponse) -> HashResult:
    from cl_client.plugins.hash import HashResult

    try:
        return HashResult.model_validate_json(content)
    except ValidationError as exc:
        raise InvalidResponseError(
            f"The result of job {job.job_id} is not a valid HashResult: {exc}"
        ) from exc


def _write(target: Path, content: bytes) -> Path:
    with written_durably(target) as file:
        file.write(content)
    return target


async def _exif(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    metadata = client.exif.output(job)
    return TaskResult(
        _camera_and_date(metadata),
        _as_json(metadata),
        await _kept(client.exif, job, target),
        _listed(metadata),
    )


def _camera_and_date(metadata: ExifOutput) -> str:
    make, model = metadata.make or "", metadata.model or ""
    # Many makers repeat their name in the model's.
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    # A video has no date as text, but one in its header.
    date = metadata.date_time_original or str(metadata.taken_at or "")
    taken = ", ".join(filter(None, (camera, date)))
    return taken or str(metadata.tag("ImageDescription") or "no camera or date found")


def _listed(metadata: ExifOutput) -> str:
    """One line per value: the common ones, then all tags as the server read them."""
    facts = cast(
        "Mapping[str, object]", metadata.model_dump(exclude={"raw_metadata", "warnings"}, exclude_none=True)
    )
    named = [(name.replace("_", " "), value) for name, value in facts.items()]
    rows = [*named, *sorted(metadata.raw_metadata.items())]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows) or "no metadata found"


async def _media_thumbnail(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    return await _picture_result(client.media_thumbnail, job, target)


async def _image_conversion(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    return await _picture_result(client.image_conversion, job, target)


async def _picture_result(
    plugin: FileResultClient[PluginOutputT, PluginParamsT], job: JobResponse, target: Path | None
) -> TaskResult:
    from cl_client_cli.pictures.upright import picture_size

    files = await _kept(plugin, job, target)
    if not files:
        return TaskResult("done", {})
    size = files[0].stat().st_size
    try:
        width, height = await asyncio.to_thread(picture_size, files[0])
    except OSError:  # a format that cannot be read here; the file itself is fine
        return TaskResult(decimal(size), {"bytes": size}, files)
    facts: JSONObject = {"width": width, "height": height, "bytes": size}
    return TaskResult(f"{width} x {height} pixels, {decimal(size)}", facts, files)


async def _face_detection(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    plugin = client.face_detection
    found = plugin.output(job)
    earlier = set[Path]() if target is None else await asyncio.to_thread(_crops_of, target)
    files = await _kept(plugin, job, target)
    if target is not None and found.faces:
        crops = await plugin.download_crops(job, _crops_folder(target))
        files += tuple(crop for crop in crops if crop is not None)
    for crop in earlier.difference(files):  # crops of faces that are no longer found
        crop.unlink(missing_ok=True)
    return TaskResult(_faces_in_words(found), _as_json(found), files)


def _crops_folder(target: Path) -> Path:
    return target.with_suffix("") if target.suffix else target.with_name(f"{target.name}.crops")


def _crops_of(target: Path) -> set[Path]:
    """The crops of a result that already exists."""
    from cl_client.plugins.face_detection import FaceDetectionOutput

    try:
        found = FaceDetectionOutput.model_validate_json(target.read_bytes())
    except (OSError, ValueError):  # no file, or something else
        return set()
    names = [PurePosixPath(face.file_path).name for face in found.faces if face.file_path]
    return {_crops_folder(target) / name for name in names}


def _faces_in_words(found: FaceDetectionOutput) -> str:
    words = counted(len(found.faces), "face")
    if found.faces:
        confidences = [f"{face.confidence:.2f}" for face in found.faces]
        low, high = min(confidences), max(confidences)
        words += f", confidence {low}" if low == high else f", confidence {low} to {high}"
    return words if found.engine is None else f"{words} ({found.engine})"


async def _hls_streaming(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    output = client.hls_streaming.output(job)
    files: tuple[Path, ...] = ()
    variants, segments = output.variants_generated or 0, output.total_segments or 0
    words = f"{counted(variants, 'variant')}, {counted(segments, 'segment')}"
    if target is not None:
        files = (await _replace_stream(client.hls_streaming, job, target),)
        words += f", {await asyncio.to_thread(_playing_time, files[0]):.1f} s"
    return TaskResult(words, _as_json(output), files)


async def _replace_stream(plugin: HlsStreamingClient, job: JobResponse, folder: Path) -> Path:
    """Download a stream, and delete the surplus files of an earlier one in the same folder."""
    from cl_client_cli.tasks.stream_folder import stream_files

    earlier = await asyncio.to_thread(stream_files, folder / PurePosixPath(plugin.master_path(job)).name)
    master = await plugin.download(job, folder)
    for file in earlier - await asyncio.to_thread(stream_files, master):
        file.unlink()
    return master


def _playing_time(master: Path) -> float:
    """The duration of a stream in seconds, read as a player would."""
    import av

    with av.open(str(master)) as stream:
        return (stream.duration or 0) / av.time_base


async def _clip_embedding(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    return await _embedding(client.clip_embedding, job, target)


async def _dino_embedding(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    return await _embedding(client.dino_embedding, job, target)


async def _face_embedding(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    return await _embedding(client.face_embedding, job, target)


async def _embedding(
    plugin: EmbeddingClient[EmbeddingT, EmbeddingParamsT], job: JobResponse, target: Path | None
) -> TaskResult:
    import numpy as np

    vector = await plugin.load(job)
    length = float(np.linalg.norm(vector))
    scale = "unit length" if abs(length - 1) < _UNIT_TOLERANCE else f"length {length:.3g}"
    numbers = cast("list[float]", vector.tolist())
    return TaskResult(
        f"{vector.size} numbers, {scale}",
        {**_as_json(plugin.output(job)), "embedding": [*numbers]},
        await _kept(plugin, job, target),
        None if target else " ".join(f"{number:.6f}" for number in numbers),
    )


async def _kept(
    plugin: FileResultClient[PluginOutputT, PluginParamsT], job: JobResponse, target: Path | None
) -> tuple[Path, ...]:
    """Save the result's file, if a target is given."""
    return () if target is None else (await plugin.download(job, target),)


def _as_json(model: BaseModel) -> JSONObject:
    return cast("JSONObject", model.model_dump(mode="json"))


TASKS: Final[Mapping[str, TaskKind]] = {
    kind.task: kind
    for kind in (
        TaskKind("hash", _hash, ".hash.json", suits=None),
        TaskKind("exif", _exif, ".exif.json", suits=("picture", "raw", "video")),
        TaskKind(
            "media_thumbnail",
            _media_thumbnail,
            ".thumbnail.jpg",
            ("picture", "raw", "video"),
            is_file=True,
        ),
        TaskKind("image_conversion", _image_conversion, "", is_file=True),
        TaskKind("face_detection", _face_detection, ".faces.json", beside=_crops_folder),
        TaskKind("clip_embedding", _clip_embedding, ".clip.npy"),
        TaskKind("dino_embedding", _dino_embedding, ".dino.npy"),
        TaskKind("face_embedding", _face_embedding, ".face.npy"),
        TaskKind("hls_streaming", _hls_streaming, ".hls", ("video",), is_file=True, is_folder=True),
    )
}
"""The tasks of all plugins; the suffix of a conversion is that of its format."""


def task_kind(task: str) -> TaskKind:
    """How the command line uses a task, also one of another package.

    Args:
        task: The name of the task.

    Returns:
        The kind.

    Raises:
        ConfigurationError: The plugin of another package is invalid.
    """
    if (kind := TASKS.get(task)) is not None:
        return kind
    from cl_client_cli.tasks.other_tasks import kind_of_other

    return kind_of_other(task)


def result_suffix(task: str, params: TaskParams) -> str:
    """The suffix of a task's results, instead of the inputs' suffixes.

    Args:
        task: The name of the task.
        params: Its parameters.

    Returns:
        The suffix, with its dot.
    """
    return task_kind(task).suffix or f".{params.form_fields()['format']}"
