"""Faces on a picture: where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.plugins.base import BasePluginClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack

    from cl_client.plugins.base import SubmitOptions
    from cl_client.transfers import FileSource


Point = tuple[float, float]


class FaceDetectionParams(TaskParams):
    """What counts as a face, both 0-1."""

    confidence_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    nms_threshold: Annotated[float, Field(ge=0, le=1)] = 0.4


class BoundingBox(BaseModel):
    """A box in parts of the picture's width and height, 0-1, origin at the top left."""

    model_config = ConfigDict(frozen=True)

    x1: float
    y1: float
    x2: float
    y2: float


class FaceLandmarks(BaseModel):
    """Five points in parts of width and height; they may lie outside 0-1. Left and right are the person's."""

    model_config = ConfigDict(frozen=True)

    right_eye: Point
    left_eye: Point
    nose_tip: Point
    mouth_right: Point
    mouth_left: Point


class Face(TaskOutput):
    """One face; landmarks and the crop's path are None where the server is of generation A."""

    bbox: BoundingBox
    confidence: float
    landmarks: FaceLandmarks | None = None
    file_path: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, data: object) -> object:
        """Generation A has the box's corners directly in the face."""
        if isinstance(data, dict) and "bbox" not in data:
            flat = cast("Mapping[str, object]", data)
            return {"bbox": flat, "confidence": flat.get("confidence")}
        return cast("object", data)


class FaceDetectionOutput(TaskOutput):
    """The faces found, and the size in pixels of the picture they were found on."""

    faces: tuple[Face, ...] = ()
    num_faces: int | None = None
    image_width: int | None = None
    image_height: int | None = None


class FaceDetectionClient(BasePluginClient[FaceDetectionOutput]):
    """Find faces."""

    task_type: ClassVar[str] = "face_detection"
    output_model: ClassVar[type[TaskOutput]] = FaceDetectionOutput

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
