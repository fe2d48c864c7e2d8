"""Detection of faces in images."""

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
    """The thresholds of the detector, both 0-1."""

    confidence_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    nms_threshold: Annotated[float, Field(ge=0, le=1)] = 0.4


class PixelBox(NamedTuple):
    """A box in pixels, origin at the top left; right and bottom are exclusive, as in Pillow."""

    left: int
    top: int
    right: int
    bottom: int


class BoundingBox(BaseModel):
    """A box as fractions of the image's width and height, 0-1, origin at the top left."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    x1: float
    y1: float
    x2: float
    y2: float

    def pixel_box(self, width: int, height: int) -> PixelBox:
        """Convert the box to pixels, rounded and clipped to the image.

        Args:
            width: The width of the image in pixels.
            height: The height of the image in pixels.

        Returns:
            The box in pixels.
        """
        left, right = (min(max(round(x * width), 0), width) for x in (self.x1, self.x2))
        top, bottom = (min(max(round(y * height), 0), height) for y in (self.y1, self.y2))
        return PixelBox(left, top, right, bottom)


class FaceLandmarks(BaseModel):
    """Five points as fractions of width and height; may be outside 0-1. Left and right are the person's."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    right_eye: Point
    left_eye: Point
    nose_tip: Point
    mouth_right: Point
    mouth_left: Point

    def in_pixels(self, width: int, height: int) -> FaceLandmarks:
        """Convert the points to pixels.

        Args:
            width: The width of the image in pixels.
            height: The height of the image in pixels.

        Returns:
            The points in pixels; they may be outside the image.
        """
        points = cast("Mapping[str, Point]", self.model_dump())
        scaled = {name: (x * width, y * height) for name, (x, y) in points.items()}
        return FaceLandmarks.model_validate(scaled)


class Face(ServerModel):
    """One face. Servers of generation A give no landmarks and no path of the crop."""

    bbox: BoundingBox
    confidence: float
    landmarks: Annotated[FaceLandmarks | None, OrElse(None)] = None
    file_path: Annotated[str | None, OrElse(None)] = None

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, data: object) -> object:
        """Accept the format of generation A, with the corners of the box as fields of the face."""
        if isinstance(data, dict) and "bbox" not in data:
            flat = cast("Mapping[str, object]", data)
            corners = BoundingBox.model_fields.keys()
            rest = {name: value for name, value in flat.items() if name not in corners}
            return {**rest, "bbox": {name: flat[name] for name in corners if name in flat}}
        return cast("object", data)


def _none_for_null(faces: object) -> object:
    return () if faces is None else faces


class FaceDetectionOutput(TaskOutput):
    """The detected faces, and the size of the image.

    Attributes:
        faces: The faces, with boxes as fractions of the image size.
        num_faces: The number of faces.
        image_width: Width of the image in pixels.
        image_height: Height of the image in pixels.
        engine: The name of the detector, if the server gives it.
    """

    # No lenient default here: a face that cannot be parsed must be an error, not a missing face.
    faces: Annotated[tuple[Face, ...], BeforeValidator(_none_for_null)] = ()
    num_faces: Annotated[int | None, OrElse(None)] = None
    image_width: Annotated[int | None, OrElse(None)] = None
    image_height: Annotated[int | None, OrElse(None)] = None
    engine: Annotated[str | None, OrElse(None)] = None

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels, for `BoundingBox.pixel_box` and `FaceLandmarks.in_pixels`.

        Raises:
            InvalidResponseError: The server did not give the size.
        """
        if self.image_width is None or self.image_height is None:
            raise InvalidResponseError("The server did not give image_width and image_height")
        return self.image_width, self.image_height

    @property
    def pixel_boxes(self) -> tuple[PixelBox, ...]:
        """The boxes of the faces in pixels.

        Raises:
            InvalidResponseError: The server did not give the size of the image.
        """
        return tuple(face.bbox.pixel_box(*self.image_size) for face in self.faces)


class FaceDetectionClient(FileResultClient[FaceDetectionOutput, FaceDetectionParams]):
    """The client for face detection."""

    task_type: ClassVar[str] = "face_detection"

    async def detect(
        self,
        image: FileSource,
        *,
        confidence_threshold: float = 0.7,
        nms_threshold: float = 0.4,
        **options: Unpack[SubmitOptions[FaceDetectionOutput]],
    ) -> JobResponse[FaceDetectionOutput]:
        """Find the faces in an image.

        Args:
            image: The image file.
            confidence_threshold: Minimum confidence of a face, 0-1.
            nms_threshold: Maximum overlap of two boxes, 0-1; above it, the weaker one is dropped.
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: A parameter or an option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        params = self.params(
            FaceDetectionParams, confidence_threshold=confidence_threshold, nms_threshold=nms_threshold
        )
        return await self.submit(image, params, **options)

    async def download_crops(self, job: JobResponse, dest_dir: Path | str) -> list[Path | None]:
        """Download the cropped image of each face of a completed job: all of them, or none.

        Args:
            job: The job.
            dest_dir: The destination folder, created if missing; existing files are replaced.

        Returns:
            The paths of the crops in the order of ``job.output.faces``; None for a face without a crop.
            Servers of generation A make no crops.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFilesError: Some files could not be downloaded.
            InvalidResponseError: The server gives a path outside the job.
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
        """The paths of the crops below the job, None for a face without a crop."""
        named = [face.file_path for face in self.output(job).faces]
        return [None if path is None else self.checked_path(job, path) for path in named]
