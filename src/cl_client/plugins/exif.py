"""EXIF and other metadata of images and videos."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - a type of a field
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import BeforeValidator, Field, field_serializer, model_validator

from cl_client._core.lenient import OrElse
from cl_client.models import JobResponse, JSONObject, TaskOutput, TaskParams
from cl_client.plugins.exif_fields.camera import camera_text
from cl_client.plugins.exif_fields.dates import created, taken
from cl_client.plugins.exif_fields.display import display
from cl_client.plugins.exif_fields.exposure import exposure_time, f_number, focal_length, iso
from cl_client.plugins.exif_fields.place import place
from cl_client.plugins.exif_tags import tag_key, tags_named
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue
    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions


def _split_tags(tags: object) -> object:
    """Accept the comma-separated string that servers send; empty for all tags."""
    return [tag.strip() for tag in tags.split(",") if tag.strip()] if isinstance(tags, str) else tags


TagName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:-]+$")]


class ExifParams(TaskParams):
    """The tags to read; empty for all."""

    tags: Annotated[tuple[TagName, ...], BeforeValidator(_split_tags)] = ()

    @field_serializer("tags")
    def _join_tags(self, tags: tuple[str, ...]) -> str:
        return ",".join(tags)


class ExifOutput(TaskOutput):
    """The common metadata fields, and all tags that the server read in ``raw_metadata``.

    A field is None if it is unknown; all are if the file is not media. Text from the server such as
    ``"1/250"`` becomes a number. A field that the server left null, or whose value means "unknown" (ISO 0),
    is filled from ``raw_metadata``. Servers other than `LocalServer` leave most fields null, so there
    ``extract(tags=...)`` fills only the fields of these tags; and they do not send ``taken_at``,
    ``created_at``, ``display_width`` and ``display_height``, which the client computes, and ``warnings``.
    The rules are in docs/files.md, section Metadata.

    Attributes:
        make: Manufacturer of the camera.
        model: Model of the camera.
        date_time_original: When the image was taken, as the text of the tag: ``2025:12:30 10:20:30``.
        create_date: When the image was digitised, or the video created, as the text of the tag.
        taken_at: When the image or video was taken, with fractions of a second; None if it is unknown.
            Timezone-aware if the file gives the time zone, or is a video with a date in UTC; otherwise naive,
            in the local time of the camera.
        created_at: ``create_date`` as a datetime, in the same way.
        image_width: Stored width in pixels, before ``orientation`` is applied; of a RAW file, the photo's.
        image_height: Stored height in pixels, in the same way.
        display_width: Width in pixels as shown: upright, cropped, and with square pixels.
        display_height: Height in pixels as shown, in the same way.
        orientation: How the stored image or video is turned for display, as in EXIF: 1-8; 1 is upright.
        iso: ISO sensitivity; may be above 65535.
        f_number: Aperture as the f-number, 2.8 for f/2.8.
        exposure_time: Exposure time in seconds.
        focal_length: Focal length in millimetres.
        gps_latitude: Latitude in decimal degrees, south negative.
        gps_longitude: Longitude in decimal degrees, west negative.
        gps_altitude: Altitude in metres, negative below sea level.
        software: The software that wrote the file.
        raw_metadata: All tags that the server read, named with their group (``EXIF:Make``), or without it in
            an answer to ``tags``.
        warnings: What ExifTool or Pillow says about the file, for instance that its EXIF is damaged.
    """

    make: str | None = None
    model: str | None = None
    date_time_original: str | None = None
    create_date: str | None = None
    taken_at: Annotated[datetime | None, OrElse(None)] = None
    created_at: Annotated[datetime | None, OrElse(None)] = None
    image_width: int | None = None
    image_height: int | None = None
    display_width: int | None = None
    display_height: int | None = None
    orientation: int | None = None
    iso: int | None = None
    f_number: float | None = None
    exposure_time: float | None = None
    focal_length: float | None = None
    gps_latitude: float | None = None
    gps_longitude: float | None = None
    gps_altitude: float | None = None
    software: str | None = None
    raw_metadata: Annotated[JSONObject, OrElse({})] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        said = cast("Mapping[str, object]", data)
        tags = said.get("raw_metadata")
        raw = cast("Mapping[str, object]", tags if isinstance(tags, dict) else {})
        return {**said, **_fields(said, raw)}

    def tag(self, name: str) -> JsonValue:
        """Get a raw tag by name.

        Args:
            name: The tag with its group (``EXIF:LensModel``) or without. Without a group, the most reliable
                one is used: computed by ExifTool, then properties of the file, then embedded metadata.

        Returns:
            The value of the tag; None if it is missing.
        """
        if ":" in name:
            return self.raw_metadata.get(name)
        group = next((group for group, _ in tags_named(self.raw_metadata, name)), None)
        return None if group is None else self.raw_metadata[tag_key(group, name)]


def _fields(said: Mapping[str, object], raw: Mapping[str, object]) -> dict[str, object]:
    """Compute the typed fields from what the server said in them or, where they are null, the raw tags."""
    original = taken(said.get("date_time_original"), raw)
    digitised = created(said.get("create_date"), raw)
    shown = display(said, raw)
    return {
        **{field: camera_text(said.get(field), field, raw) for field in ("make", "model", "software")},
        "date_time_original": original.text,
        "create_date": digitised.text,
        "taken_at": said.get("taken_at") or original.when,
        "created_at": said.get("created_at") or digitised.when,
        "image_width": shown.width,
        "image_height": shown.height,
        "display_width": shown.display_width,
        "display_height": shown.display_height,
        "orientation": shown.orientation,
        "iso": iso(said.get("iso"), raw),
        "f_number": f_number(said.get("f_number"), raw),
        "exposure_time": exposure_time(said.get("exposure_time"), raw),
        "focal_length": focal_length(said.get("focal_length"), raw),
        **place(said, raw),
    }


class ExifClient(FileResultClient[ExifOutput, ExifParams]):
    """The client for metadata."""

    task_type: ClassVar[str] = "exif"

    async def extract(
        self,
        image: FileSource,
        *,
        tags: Sequence[str] = (),
        **options: Unpack[SubmitOptions[ExifOutput]],
    ) -> JobResponse[ExifOutput]:
        """Read the metadata of an image or a video.

        Args:
            image: The file.
            tags: Names of the tags to read, for instance ``["Make", "Model"]``, or one name; empty for all.
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: A parameter or an option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        names = tags if isinstance(tags, str) else tuple(tags)
        return await self.submit(image, self.params(ExifParams, tags=names), **options)
