"""EXIF and other metadata of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator, Field, field_serializer

from cl_client.models import JobResponse, JSONObject, TaskOutput, TaskParams
from cl_client.plugins.base import BasePluginClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from cl_client.plugins.base import SubmitOptions
    from cl_client.transfers import FileSource


def _split_tags(tags: object) -> object:
    """The wire has one comma-separated string, empty for all."""
    return [tag.strip() for tag in tags.split(",") if tag.strip()] if isinstance(tags, str) else tags


TagName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:-]+$")]


class ExifParams(TaskParams):
    """Which tags to read; none for all."""

    tags: Annotated[tuple[TagName, ...], BeforeValidator(_split_tags)] = ()

    @field_serializer("tags")
    def _join_tags(self, tags: tuple[str, ...]) -> str:
        return ",".join(tags)


class ExifOutput(TaskOutput):
    """The common fields, null where the server left them so, and everything it read in ``raw_metadata``."""

    make: str | None = None
    model: str | None = None
    date_time_original: str | None = None
    create_date: str | None = None
    image_width: int | None = None
    image_height: int | None = None
    orientation: int | str | None = None
    iso: int | None = None
    f_number: float | None = None
    exposure_time: float | str | None = None
    focal_length: float | str | None = None
    gps_latitude: float | str | None = None
    gps_longitude: float | str | None = None
    gps_altitude: float | str | None = None
    software: str | None = None
    raw_metadata: JSONObject = Field(default_factory=dict)


class ExifClient(BasePluginClient[ExifOutput]):
    """Read a picture's metadata."""

    task_type: ClassVar[str] = "exif"
    output_model: ClassVar[type[TaskOutput]] = ExifOutput

    async def extract(
        self,
        image: FileSource,
        *,
        tags: Sequence[str] = (),
        **options: Unpack[SubmitOptions[ExifOutput]],
    ) -> JobResponse[ExifOutput]:
        """Read the metadata of a picture.

        Args:
            image: The picture.
            tags: Names of the tags wanted, for instance ``["Make", "Model"]``; none for all.
            **options: Common to all plugins, see `SubmitOptions`.
        """
        return await self.submit(image, self.params(ExifParams, tags=tuple(tags)), **options)
