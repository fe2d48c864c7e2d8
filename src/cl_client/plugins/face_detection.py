"""Faces on a picture: where they are."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import override

from cl_client._core.lenient import OrElse
from cl_client._errors import InvalidResponseError
from cl_client.models import JobResponse, ServerModel, TaskOutput, TaskParams
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions


Point: TypeAlias = tuple[float, float]


class FaceDetectionParams(TaskParams):
    """What counts as a face, both 0-1."""

    confidence_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    nms_threshold: Annotated[float, Field(ge=0, le=1)] = 0.4


class PixelBox(NamedTuple):
    """A box in whole pixels, origin at the top left; right and bottom are the first outside, as in Pillow."""

    left: int
    top: int
    right: int
    bottom: int


class BoundingBox(BaseModel):
    """A box in parts of the picture's width and height, 0-1, origin at the top left."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    x1: float
    y1: float
    x2: float
    y2: float

    def pixel_box(self, width: int, height: int) -> PixelBox:
        """The box on a picture of this size in pixels, rounded, and cut off at the picture's edge."""
        left, right = (min(max(round(x * width), 0), width) for x in (self.x1, self.x2))
        top, bottom = (min(max(round(y * height), 0), height) for y in (self.y1, self.y2))
        return PixelBox(left, top, right, bottom)


class FaceLandmarks(BaseModel):
    """Five points in parts of width and height; they may lie outside 0-1. Left and right are the person's."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    right_eye: Point
    left_eye: Point
    nose_tip: Point
    mouth_right: Point
    mouth_left: Point

    def in_pixels(self, width: int, height: int) -> FaceLandmarks:
        """The points in pixels of a picture of this size; like the parts, they may lie outside."""
        points = cast("Mapping[str, Point]", self.model_dump())
        scaled = {name: (x * width, y * height) for name, (x, y) in points.items()}
        return FaceLandmarks.model_validate(scaled)


class Face(ServerModel):
    """One face; landmarks and the crop's path are None where the server is of generation A."""

    bbox: BoundingBox
    confidence: float
    landmarks: Annotated[FaceLandmarks | None, OrElse(None)] = None
    file_path: Annotated[str | None, OrElse(None)] = None

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, data: object) -> object:
        """Generation A has the box's corners directly in the face."""
        if isinstance(data, dict) and "bbox" not in data:
            flat = cast("Mapping[str, object]", data)
            corners = BoundingBox.model_fields.keys()
            rest = {name: value for name, value in flat.items() if name not in corners}
            return {**rest, "bbox": {name: flat[name] for name in corners if name in flat}}
        return cast("object", data)


def _none_for_null(faces: object) -> object:
    return () if faces is None else faces


class FaceDetectionOutput(TaskOutput):
    """The faces found, and the size in pixels of the picture they were found on.

    Attributes:
        faces: Where they are, in parts of the picture's size.
        num_faces: How many there are.
        image_width: Pixels; ``image_height`` alike.
        engine: What found them, where the server says so.
    """

    # What it is all about: to go on without a face that cannot be read would be to say that there is none.
    faces: Annotated[tuple[Face, ...], BeforeValidator(_none_for_null)] = ()
    num_faces: Annotated[int | None, OrElse(None)] = None
    image_width: Annotated[int | None, OrElse(None)] = None
    image_height: Annotated[int | None, OrElse(None)] = None
    engine: Annotated[str | None, OrElse(None)] = None

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels, for `BoundingBox.pixel_box` and `FaceLandmarks.in_pixels`.

        Raises:
            InvalidResponseError: The server did not say them.
        """
        if self.image_width is None or self.image_height is None:
            raise InvalidResponseError("The server did not say the size of the picture with the faces")
        return self.image_width, self.image_height

    @property
    def pixel_boxes(self) -> tuple[PixelBox, ...]:
        """The faces' boxes in pixels.

        Raises:
            InvalidResponseError: The server did not say the picture's size.
        """
        return tuple(face.bbox.pixel_box(*self.image_size) for face in self.faces)


class FaceDetectionClient(FileResultClient[FaceDetectionOutput, FaceDetectionParams]):
    """Find faces."""

    task_type: ClassVar[str] = "face_detection"

    async def detect(
        self,
        image: FileSource,
        *,
        confidence_threshold: float = 0.7,
        nms_threshold: float = 0.4,
        **options: Unpack[SubmitOptions[FaceDetectionOutput]],
    ) -> JobResponse[FaceDetectionOutput]:
        """Find the faces on a picture.

        Args:
            image: The picture.
            confidence_threshold: 0-1, how sure the detector must be.
            nms_threshold: 0-1, how much two boxes may overlap before the weaker one is dropped.
            **options: Common to all plugins, see `SubmitOptions`.
        """
        params = self.params(
            FaceDetectionParams, confidence_threshold=confidence_threshold, nms_threshold=nms_threshold
        )
        return await self.submit(image, params, **options)

    async def download_crops(self, job: JobResponse, dest_dir: Path | str) -> list[Path | None]:
        """Download the picture of each face that a completed job has cut out: all of them, or none.

        Args:
            job: The job.
            dest_dir: The folder, made if it is missing; files there of the same name are replaced.

        Returns:
            The crops in the order of ``job.output.faces``; None for a face without one, which on servers of
            generation A is every face.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFilesError: Some could not be downloaded.
            InvalidResponseError: The server names a path that leads out of the job.
        """
        crops = self._crops(job)
        wanted = [path for path in dict.fromkeys(crops) if path is not None]
        if not wanted:
            return [None for _ in crops]
        folder = posixpath.commonpath([posixpath.dirname(path) for path in wanted])
        files = await self._client.download_job_files(job.job_id, wanted, dest_dir, relative_to=folder)
        where = dict(zip(wanted, files, strict=True))
        return [None if path is None else where[path] for path in crops]

    @override
    async def output_files(self, job: JobResponse) -> list[str]:
        crops = [path for path in dict.fromkeys(self._crops(job)) if path is not None]
        return [*await super().output_files(job), *crops]

    def _crops(self, job: JobResponse) -> list[str | None]:
        """Where each face's crop is, None for a face without one."""
        named = [face.file_path for face in self.output(job).faces]
        return [None if path is None else self.checked_path(job, path) for path in named]
