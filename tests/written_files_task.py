"""A task that leaves the files and the output that a test put into the job's file, whatever its name is.

So a test decides what a server of any generation left behind.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from pydantic import Base64Bytes, BaseModel, Field, TypeAdapter

from cl_client.local.tasks import TaskSpec
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON_OBJECT = TypeAdapter(JSONObject)


class Script(BaseModel):
    """What to leave behind.

    ``{job_folder}`` in the output becomes where the server keeps the job, ``{result}`` in the name of a file
    the path where the server says that the result is.
    """

    files: dict[str, Base64Bytes] = Field(default_factory=dict[str, bytes])
    output: JSONObject = Field(default_factory=dict)
    fail: str | None = None


def script(
    files: Mapping[str, bytes] | None = None, output: JSONObject | None = None, fail: str | None = None
) -> bytes:
    """What to upload as the job's file."""
    encoded = {path: base64.b64encode(content) for path, content in (files or {}).items()}
    return Script(files=encoded, output=output or {}, fail=fail).model_dump_json().encode()


def run(context: TaskContext[TaskParams]) -> JSONObject:
    """Do what the job's file says."""
    told = Script.model_validate_json(context.input_file.read_bytes())
    for path, content in told.files.items():
        target = context.job_folder / path.replace("{result}", context.output_file.as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    if told.fail is not None:
        raise TaskFailedError(told.fail)
    folder = context.job_folder.as_posix()
    return _JSON_OBJECT.validate_json(
        _JSON_OBJECT.dump_json(told.output).replace(b"{job_folder}", folder.encode())
    )


def _spec(task: str, params: str, output_path: str, output_path_a: str | None = None) -> TaskSpec:
    return TaskSpec(
        "written_files_task:run",
        f"cl_client.plugins.{task}:{params}",
        output_path,
        output_path_a=output_path_a,
    )


TASKS = {
    task: _spec(task, *rest)
    for task, *rest in (
        ("clip_embedding", "ClipEmbeddingParams", "output/clip_embedding.npy"),
        ("dino_embedding", "DinoEmbeddingParams", "output/dino_embedding.npy", "output/dino_embedding.nb"),
        ("exif", "ExifParams", "output/exif_metadata.json"),
        ("face_detection", "FaceDetectionParams", "output/face_detection.json"),
        ("face_embedding", "FaceEmbeddingParams", "output/face_embedding.npy", "output/face_embedding.nb"),
        ("hash", "HashParams", "output/hash.json"),
        ("hls_streaming", "HlsStreamingParams", "output"),
        ("image_conversion", "ImageConversionParams", "output/converted_file.webp"),
        ("media_thumbnail", "MediaThumbnailParams", "output/thumbnail.jpg"),
    )
}
"""All nine tasks, with the result paths of real servers."""
