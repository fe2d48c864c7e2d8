"""The tasks of the local server: one table that says where each lives and where it leaves its result.

A worker process imports a task's module when its first job comes, so that one task's heavy libraries never
cost another one anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from cl_client.models import JSONObject

OutputPath: TypeAlias = str | Callable[[str, JSONObject], str]
"""A path inside the job's folder, or what makes one of the input's file name and the parameters."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Where a task is found.

    Attributes:
        function: ``"module:function"``, a `cl_client.local.tasks.contract.TaskFunction`.
        params: ``"module:Class"``, the subclass of `cl_client.models.TaskParams` that it takes.
        output_path: Where its result belongs.
        output_path_a: The same for a server of generation A, where that differs.
    """

    function: str
    params: str
    output_path: OutputPath
    output_path_a: OutputPath | None = None

    def output_path_for(self, file_name: str, params: JSONObject, *, generation_a: bool = False) -> str:
        """Where the result of one job belongs, relative to the job's folder."""
        path = self.output_path_a if generation_a and self.output_path_a is not None else self.output_path
        return path if isinstance(path, str) else path(file_name, params)


def _converted_picture(file_name: str, params: JSONObject) -> str:
    picture_format = str(params["format"])
    extension = "jpg" if picture_format == "jpeg" else picture_format
    return f"output/converted_{PurePosixPath(file_name).stem}.{extension}"


TASKS: dict[str, TaskSpec] = {
    "exif": TaskSpec(
        "cl_client.local.tasks.exif:run", "cl_client.plugins.exif:ExifParams", "output/exif_metadata.json"
    ),
    "hash": TaskSpec(
        "cl_client.local.tasks.file_hash:run", "cl_client.plugins.hash:HashParams", "output/hash.json"
    ),
    "image_conversion": TaskSpec(
        "cl_client.local.tasks.image_conversion:run",
        "cl_client.plugins.image_conversion:ImageConversionParams",
        _converted_picture,
    ),
    "media_thumbnail": TaskSpec(
        "cl_client.local.tasks.media_thumbnail:run",
        "cl_client.plugins.media_thumbnail:MediaThumbnailParams",
        "output/thumbnail.jpg",
    ),
}
