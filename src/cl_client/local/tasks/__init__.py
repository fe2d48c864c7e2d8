"""The tasks of the local server: a table with the function, parameters and output path of each.

Other packages add theirs as entry points of the group ``cl_client.tasks``, each a `TaskSpec`.

A worker process imports a task's module for its first job, so that a task's large libraries are loaded only
where it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeAlias

from cl_client.models import JSONObject

OutputPath: TypeAlias = str | Callable[[str, JSONObject], str]
"""A path inside the job's folder, or a function of the input's file name and the parameters."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task.

        TASK = TaskSpec("my_task.task:run", "my_task.models:MyTaskParams", "output/my_task.jpg")

    Attributes:
        function: ``"module:function"``, a `cl_client.local.tasks.contract.TaskFunction`.
        params: ``"module:Class"``, the subclass of `cl_client.models.TaskParams` with its parameters.
        output_path: The path of its result.
        function_a: The function for a server of generation A, if it differs.
        output_path_a: The path of its result on a server of generation A, if it differs.
        models: The models that it requires, by their names in `cl_client.local.models.catalog`.
        checks: ``"module:function"``, called with each job's context before ``function``, to fail the job.
        amends: ``"module:function"``, given a job's context and its ``task_output``, to change the latter.
        crashes_on: The form fields whose invalid values get status 500, as from a real server that crashes.
    """

    function: str
    params: str
    output_path: OutputPath
    function_a: str | None = None
    output_path_a: OutputPath | None = None
    models: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    amends: tuple[str, ...] = ()
    crashes_on: frozenset[str] = frozenset()

    def for_generation_a(self) -> TaskSpec:
        """Return the task of a server of generation A.

        Returns:
            A copy with the function and the output path of that generation.
        """
        return replace(
            self,
            function=self.function_a or self.function,
            output_path=self.output_path_a or self.output_path,
        )

    def output_path_for(self, file_name: str, params: JSONObject) -> str:
        """Return the path of a job's result.

        Args:
            file_name: The name of the uploaded file.
            params: The job's parameters.

        Returns:
            A path relative to the job's folder.
        """
        path = self.output_path
        return path if isinstance(path, str) else path(file_name, params)


def _converted_picture(file_name: str, params: JSONObject) -> str:
    picture_format = str(params["format"])
    extension = "jpg" if picture_format == "jpeg" else picture_format
    return f"output/converted_{PurePosixPath(file_name).stem}.{extension}"


TASKS: dict[str, TaskSpec] = {
    "clip_embedding": TaskSpec(
        "cl_client.local.tasks.embeddings.clip_embedding:run",
        "cl_client.plugins.clip_embedding:ClipEmbeddingParams",
        "output/clip_embedding.npy",
        models=("mobileclip",),
    ),
    "dino_embedding": TaskSpec(
        "cl_client.local.tasks.embeddings.dino_embedding:run",
        "cl_client.plugins.dino_embedding:DinoEmbeddingParams",
        "output/dino_embedding.npy",
        output_path_a="output/dino_embedding.nb",
        models=("dinov2",),
    ),
    "exif": TaskSpec(
        "cl_client.local.tasks.metadata.exif:run",
        "cl_client.plugins.exif:ExifParams",
        "output/exif_metadata.json",
    ),
    "face_detection": TaskSpec(
        "cl_client.local.tasks.faces.face_detection:run",
        "cl_client.plugins.face_detection:FaceDetectionParams",
        "output/face_detection.json",
        function_a="cl_client.local.tasks.faces.face_detection:run_for_generation_a",
    ),
    "face_embedding": TaskSpec(
        "cl_client.local.tasks.faces.face_embedding:run",
        "cl_client.plugins.face_embedding:FaceEmbeddingParams",
        "output/face_embedding.npy",
        output_path_a="output/face_embedding.nb",
        models=("arcface",),
    ),
    "hash": TaskSpec(
        "cl_client.local.tasks.hashing.file_hash:run", "cl_client.plugins.hash:HashParams", "output/hash.json"
    ),
    "hls_streaming": TaskSpec(
        "cl_client.local.tasks.hls.hls_streaming:run",
        "cl_client.plugins.hls_streaming:HlsStreamingParams",
        "output",
    ),
    "image_conversion": TaskSpec(
        "cl_client.local.tasks.conversion.image_conversion:run",
        "cl_client.local.tasks.conversion.served_params:ServedConversionParams",
        _converted_picture,
    ),
    "media_thumbnail": TaskSpec(
        "cl_client.local.tasks.media_thumbnail:run",
        "cl_client.plugins.media_thumbnail:MediaThumbnailParams",
        "output/thumbnail.jpg",
    ),
}
