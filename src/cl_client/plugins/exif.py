"""EXIF and other metadata of images and videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, TypeAlias, cast

from pydantic import BeforeValidator, Field, field_serializer, model_validator

from cl_client._core.lenient import OrElse
from cl_client.models import JobResponse, JSONObject, TaskOutput, TaskParams
from cl_client.plugins.exif_tags import (
    as_altitude,
    as_datetime,
    as_integer,
    as_last_integer,
    as_latitude,
    as_longitude,
    as_number,
    as_orientation,
    as_text,
    tag_key,
    tags_named,
)
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pydantic import JsonValue
    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions

    _Reader: TypeAlias = Callable[[object], str | float | None]
    _ReaderWithRef: TypeAlias = Callable[[object, object], float | None]


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


_TAGS: Final[Mapping[str, tuple[_Reader, tuple[str, ...]]]] = {
    "make": (as_text, ("Make", "AndroidMake")),
    "model": (as_text, ("Model", "AndroidModel")),
    "date_time_original": (as_text, ("DateTimeOriginal", "CreationDate")),
    "create_date": (as_text, ("CreateDate", "DateTimeDigitized")),
    "image_width": (as_integer, ("ImageSize", "ImageWidth", "ExifImageWidth")),
    "image_height": (as_last_integer, ("ImageSize", "ImageHeight", "ExifImageHeight")),
    "orientation": (as_orientation, ("Orientation",)),
    "iso": (as_integer, ("ISO", "PhotographicSensitivity")),
    "f_number": (as_number, ("FNumber", "Aperture")),
    "exposure_time": (as_number, ("ExposureTime", "ShutterSpeed")),
    "focal_length": (as_number, ("FocalLength",)),
    "software": (as_text, ("Software", "CreatorTool")),
}
"""How each field is parsed, and which tags replace it if the server left it null, best first."""
_GPS_TAGS: Final[Mapping[str, tuple[_ReaderWithRef, str]]] = {
    "gps_latitude": (as_latitude, "GPSLatitude"),
    "gps_longitude": (as_longitude, "GPSLongitude"),
    "gps_altitude": (as_altitude, "GPSAltitude"),
}
"""The same for values whose sign is in a second tag, such as ``GPSLatitudeRef``."""
_UNSIGNED_GROUPS: Final = frozenset({"EXIF", "GPS"})


class ExifOutput(TaskOutput):
    """The common metadata fields, and all tags that the server read in ``raw_metadata``.

    Values from the server are unchanged, except that text such as ``"1/250"`` becomes a number. Fields that
    the server left null are filled from ``raw_metadata``, whose tags may have a group (``EXIF:Make``) or not.

    Attributes:
        make: Manufacturer of the camera.
        model: Model of the camera.
        date_time_original: When the image was taken, as text: ``2025:12:30 10:20:30``; see `taken_at`.
        create_date: When the image was digitised, as text; see `created_at`.
        image_width: Stored width in pixels, before ``orientation`` is applied.
        image_height: Stored height in pixels, before ``orientation`` is applied.
        orientation: EXIF orientation, 1-8; 1 is upright.
        iso: ISO sensitivity.
        f_number: Aperture.
        exposure_time: Exposure time in seconds.
        focal_length: Focal length in millimetres.
        gps_latitude: Latitude in decimal degrees, south negative.
        gps_longitude: Longitude in decimal degrees, west negative.
        gps_altitude: Altitude in metres, negative below sea level.
        software: The software that wrote the file.
        raw_metadata: All tags that the server read.
    """

    make: str | None = None
    model: str | None = None
    date_time_original: str | None = None
    create_date: str | None = None
    image_width: int | None = None
    image_height: int | None = None
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
        read = {field: _read(said.get(field), field, raw) for field in _TAGS}
        read_gps = {field: _read_gps(said.get(field), field, raw) for field in _GPS_TAGS}
        return {**said, **read, **read_gps}

    @property
    def taken_at(self) -> datetime | None:
        """``date_time_original`` as a datetime; None if it is missing or cannot be parsed.

        Timezone-aware if the text or the tag ``OffsetTimeOriginal`` gives the time zone; otherwise naive, in
        the local time of the camera.
        """
        return as_datetime(self.date_time_original, self.tag("OffsetTimeOriginal"))

    @property
    def created_at(self) -> datetime | None:
        """``create_date`` as a datetime; None if it is missing or cannot be parsed.

        Timezone-aware if the text or the tag ``OffsetTimeDigitized`` gives the time zone; otherwise naive.
        Videos should have UTC here, but many cameras write local time, so UTC is not assumed.
        """
        return as_datetime(self.create_date, self.tag("OffsetTimeDigitized"))

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


def _read(said: object, field: str, raw: Mapping[str, object]) -> str | float | None:
    read, names = _TAGS[field]
    candidates = (value for name in names for _, value in tags_named(raw, name))
    return next((value for value in map(read, (said, *candidates)) if value is not None), None)


def _read_gps(said: object, field: str, raw: Mapping[str, object]) -> float | None:
    read, name = _GPS_TAGS[field]
    if (value := read(said, None)) is not None:
        return value
    for group, written in tags_named(raw, name):
        ref = raw.get(tag_key(group, f"{name}Ref"))
        if group in _UNSIGNED_GROUPS and ref is None and field != "gps_altitude":
            continue  # the hemisphere is unknown
        if (value := read(written, ref)) is not None:
            return value
    return None


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
