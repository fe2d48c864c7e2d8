"""EXIF, and as servers of every generation report it: typed fields, filled where they were left null."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cl_client import ComputeClient, InvalidParameterError, JSONObject
from cl_client.plugins.exif import ExifOutput
from cl_client.plugins.exif_tags import as_datetime, as_integer, as_latitude, as_number
from cl_client.testing import StubServer, http_response
from patience import SECONDS
from plugin_checks import check_fields, check_refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic import JsonValue

    from server_under_test import ServerUnderTest

# Recorded from a server of generation A.
RECORDED: JSONObject = {
    "make": None,
    "model": None,
    "date_time_original": None,
    "create_date": None,
    "image_width": None,
    "image_height": None,
    "orientation": None,
    "iso": None,
    "f_number": None,
    "exposure_time": None,
    "focal_length": None,
    "gps_latitude": None,
    "gps_longitude": None,
    "gps_altitude": None,
    "software": None,
    "raw_metadata": {
        "ExifTool:ExifToolVersion": 12.57,
        "File:ImageWidth": 1024,
        "File:ImageHeight": 768,
        "JFIF:XResolution": 1,
        "EXIF:Make": "Canon",
        "EXIF:Model": "EOS R5",
        "EXIF:ExposureTime": 0.004,
        "EXIF:FNumber": 2.8,
        "EXIF:ISO": 200,
        "EXIF:DateTimeOriginal": "2025:12:30 10:20:30",
        "EXIF:FocalLength": 85,
        "EXIF:GPSLatitudeRef": "N",
        "EXIF:GPSLatitude": 12.97,
        "EXIF:GPSLongitudeRef": "E",
        "EXIF:GPSLongitude": 77.59,
        "Composite:Aperture": 2.8,
        "Composite:ImageSize": "1024 768",
        "Composite:ShutterSpeed": 0.004,
        "Composite:GPSLatitude": 12.97,
        "Composite:GPSLongitude": 77.59,
    },
}


def read(raw: JSONObject | None = None, **said: object) -> ExifOutput:
    return ExifOutput.model_validate({**said, "raw_metadata": raw or {}})


def test_what_a_server_of_generation_a_left_null() -> None:
    output = ExifOutput.model_validate(RECORDED)
    assert (output.make, output.model) == ("Canon", "EOS R5")
    assert (output.image_width, output.image_height) == (1024, 768)
    assert (output.iso, output.f_number, output.exposure_time, output.focal_length) == (200, 2.8, 0.004, 85)
    assert (output.gps_latitude, output.gps_longitude, output.gps_altitude) == (12.97, 77.59, None)
    assert output.date_time_original == "2025:12:30 10:20:30"
    assert (output.create_date, output.orientation, output.software) == (None, None, None)
    assert output.raw_metadata == RECORDED["raw_metadata"]


def test_what_the_server_says_stays() -> None:
    raw: JSONObject = {
        "EXIF:Make": "other",
        "EXIF:ISO": 1,
        "EXIF:DateTimeOriginal": "2001:01:01 01:01:01",
        "Composite:GPSLatitude": 1.0,
    }
    output = read(
        raw, make="Canon", iso=200, date_time_original="0000:00:00 00:00:00", gps_latitude=0, new=[1]
    )
    assert (output.make, output.iso, output.gps_latitude) == ("Canon", 200, 0)
    assert output.date_time_original == "0000:00:00 00:00:00"
    assert output.model_extra == {"new": [1]}


def test_what_the_server_says_as_text_becomes_a_number() -> None:
    output = read(
        model=3310,
        exposure_time="1/250",
        focal_length="85.0 mm (35 mm equivalent: 85.0 mm)",
        iso="200 200",
        orientation="Rotate 90 CW",
        gps_latitude="48 deg 51' 29.00\" S",
        gps_longitude="2 deg 17' 40.20\" W",
        gps_altitude="35.5 m Below Sea Level",
    )
    assert (output.model, output.exposure_time, output.focal_length, output.iso) == ("3310", 0.004, 85, 200)
    assert output.orientation == 6
    assert output.gps_latitude == pytest.approx(-48.858056, abs=1e-6)
    assert output.gps_longitude == pytest.approx(-2.2945, abs=1e-6)
    assert output.gps_altitude == -35.5


@pytest.mark.parametrize(
    "raw",
    [
        {"EXIF:Make": "Canon"},
        {"IFD0:Make": "Canon"},
        {"Make": "Canon"},
        {"XMP-tiff:Make": "Canon"},
        {"QuickTime:AndroidMake": "Canon"},
        {"IFD1:Make": "thumbnail", "MakerNotes:Make": "Canon"},
        {"MakerNotes:Make": "other", "XMP:Make": "other", "EXIF:Make": "Canon"},
        {"EXIF:Make": " ", "XMP:Make": "Canon"},
        {"EXIF:Make": None, "XMP:Make": "Canon"},
    ],
)
def test_groups_of_a_tag(raw: JSONObject) -> None:
    assert read(raw).make == "Canon"


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        ({"Composite:ImageSize": "4000x3000", "IFD0:ImageWidth": 160, "IFD0:ImageHeight": 120}, (4000, 3000)),
        ({"PNG:ImageWidth": 4, "PNG:ImageHeight": 3}, (4, 3)),
        ({"File:ImageWidth": 4, "EXIF:ImageWidth": 5, "EXIF:ExifImageHeight": 3}, (4, 3)),
        ({"ImageWidth": "4", "ImageHeight": 3.0}, (4, 3)),
        ({"IFD1:ImageWidth": 160, "File:ImageHeight": "none"}, (None, None)),
    ],
)
def test_the_size_in_pixels(raw: JSONObject, size: tuple[int | None, int | None]) -> None:
    assert (read(raw).image_width, read(raw).image_height) == size


@pytest.mark.parametrize(
    ("raw", "latitude"),
    [
        ({"Composite:GPSLatitude": -12.5, "EXIF:GPSLatitude": 12.5, "EXIF:GPSLatitudeRef": "S"}, -12.5),
        ({"EXIF:GPSLatitude": 12.5, "EXIF:GPSLatitudeRef": "S"}, -12.5),
        ({"GPS:GPSLatitude": 12.5, "GPS:GPSLatitudeRef": "South"}, -12.5),
        ({"GPS:GPSLatitude": "12 deg 30' 0.00\"", "GPS:GPSLatitudeRef": "North"}, 12.5),
        ({"Composite:GPSLatitude": "12 deg 30' 0.00\" S"}, -12.5),
        ({"XMP:GPSLatitude": "12,30.0S"}, -12.5),
        ({"GPSLatitude": [12, 30, 0], "GPSLatitudeRef": "S"}, -12.5),
        ({"GPSLatitude": "-12.5"}, -12.5),
        ({"EXIF:GPSLatitude": 12.5}, None),
        ({"Composite:GPSLatitude": 90.01}, None),
        ({"Composite:GPSLatitude": "inf"}, None),
        ({"Composite:GPSLatitude": ""}, None),
        ({"Composite:GPSLatitude": True}, None),
        ({"Composite:GPSLatitude": "1 2 3 4"}, None),
    ],
)
def test_latitudes(raw: JSONObject, latitude: float | None) -> None:
    assert read(raw).gps_latitude == latitude


@pytest.mark.parametrize(
    ("ref", "longitude"), [("W", -151.5), ("West", -151.5), ("E", 151.5), ("East", 151.5)]
)
def test_longitudes(ref: str, longitude: float) -> None:
    assert read({"EXIF:GPSLongitude": 151.5, "EXIF:GPSLongitudeRef": ref}).gps_longitude == longitude


@pytest.mark.parametrize(
    ("raw", "altitude"),
    [
        ({"Composite:GPSAltitude": -5.5, "EXIF:GPSAltitude": 5.5, "EXIF:GPSAltitudeRef": 1}, -5.5),
        ({"EXIF:GPSAltitude": 5.5, "EXIF:GPSAltitudeRef": 1}, -5.5),
        ({"EXIF:GPSAltitude": 5.5, "EXIF:GPSAltitudeRef": "1"}, -5.5),
        ({"EXIF:GPSAltitude": 5.5, "EXIF:GPSAltitudeRef": 3}, -5.5),
        ({"EXIF:GPSAltitude": 5.5, "EXIF:GPSAltitudeRef": 0}, 5.5),
        ({"EXIF:GPSAltitude": 5.5}, 5.5),
        ({"EXIF:GPSAltitude": "5.5 m", "EXIF:GPSAltitudeRef": "Below Sea Level"}, -5.5),
        ({"Composite:GPSAltitude": "5.5 m Above Sea Level"}, 5.5),
        ({"Composite:GPSAltitude": "undef"}, None),
    ],
)
def test_altitudes(raw: JSONObject, altitude: float | None) -> None:
    assert read(raw).gps_altitude == altitude


@pytest.mark.parametrize(
    ("value", "orientation"),
    [(1, 1), (8, 8), ("3", 3), ("Rotate 270 CW", 8), (0, None), (9, None), ("9" * 5000, None), (True, None)],
)
def test_orientations(value: int | str, orientation: int | None) -> None:
    assert read({"EXIF:Orientation": value}).orientation == orientation


@pytest.mark.parametrize(
    ("raw", "iso"),
    [
        ({"EXIF:ISO": 65535, "EXIF:SensitivityType": 1, "EXIF:StandardOutputSensitivity": 102400}, 102400),
        (
            {
                "EXIF:ISO": 65535,
                "EXIF:SensitivityType": 2,
                "EXIF:StandardOutputSensitivity": 1,
                "EXIF:RecommendedExposureIndex": 204800,
            },
            204800,
        ),
        ({"EXIF:ISO": 65535, "EXIF:SensitivityType": 3, "EXIF:ISOSpeed": 409600}, 409600),
        ({"EXIF:ISO": 65535, "EXIF:RecommendedExposureIndex": 102400}, 102400),
        ({"EXIF:RecommendedExposureIndex": 800}, 800),
        ({"EXIF:ISO": 65535, "MakerNotes:ISO": 102400}, 102400),
        ({"EXIF:ISO": 100, "Composite:ISO": 159.7}, 100),
        ({"Composite:ISO": 159.7}, 160),
        ({"MakerNotes:ISO": "0 200"}, 200),
        ({"MakerNotes:ISO": "0 0"}, None),
        ({"MakerNotes:ISO": 65535}, None),
        ({"MakerNotes:ISO": 6}, None),  # Pentax's number of ISO 100
        ({"EXIF:ISO": 6}, 6),
        ({"EXIF:ISO": 0, "XMP:ISO": 400}, 400),
        ({"EXIF:ISO": 65535}, None),
    ],
)
def test_sensitivities(raw: JSONObject, iso: int | None) -> None:
    assert read(raw).iso == iso
    assert read(raw, iso=65535).iso == iso
    assert read(raw, iso=0).iso == iso


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ({"EXIF:ExposureTime": 250, "EXIF:ShutterSpeedValue": 0.004}, 0.004),
        ({"EXIF:ExposureTime": 250, "MakerNotes:ExposureTime": 0.00399}, 0.004),
        ({"EXIF:ExposureTime": 250}, 250),
        ({"MakerNotes:ExposureTime": 250, "Composite:ShutterSpeed": 250}, None),
        (
            {"MakerNotes:ExposureTime": 250, "Composite:ShutterSpeed": 250, "EXIF:ShutterSpeedValue": 0.004},
            0.004,
        ),
        ({"MakerNotes:ExposureTime": 0.5}, 0.5),
        ({"EXIF:ExposureTime": 0, "EXIF:ShutterSpeedValue": 0.004}, 0.004),
        ({"EXIF:ExposureTime": "inf"}, None),
        ({"EXIF:ExposureTime": 4294967295}, None),
        ({"EXIF:ExposureTime": -1}, None),
    ],
)
def test_exposure_times(raw: JSONObject, seconds: float | None) -> None:
    assert read(raw).exposure_time == seconds


def test_a_manual_lens_has_no_aperture_and_no_focal_length() -> None:
    output = read(
        {"EXIF:FNumber": 0, "EXIF:ApertureValue": 1, "Composite:Aperture": 1, "EXIF:FocalLength": 0}
    )
    assert (output.f_number, output.focal_length) == (None, None)
    assert read({"EXIF:FNumber": "undef", "EXIF:ApertureValue": 4}).f_number == 4
    assert read({}, f_number=0, focal_length="0.0 mm").f_number is None


@pytest.mark.parametrize(
    ("raw", "camera"),
    [
        ({"H264:Make": 0x108, "H264:Model": "HDR-CX730"}, ("Sony", "HDR-CX730")),
        ({"H264:Make": 0x103}, ("Panasonic", None)),
        ({"H264:Make": "Canon"}, ("Canon", None)),
        ({"XML:DeviceManufacturer": "Sony", "XML:DeviceModelName": "ILCE-7M4"}, ("Sony", "ILCE-7M4")),
        ({"RIFF:Make": "Example", "RIFF:Model": "One"}, ("Example", "One")),
        ({"ICC_Profile:DeviceManufacturer": "IEC", "ICC_Profile:DeviceModel": "sRGB"}, (None, None)),
        ({"EXIF:Make": "Example\0rubbish"}, ("Example", None)),
    ],
)
def test_cameras(raw: JSONObject, camera: tuple[str | None, str | None]) -> None:
    output = read(raw)
    assert (output.make, output.model) == camera


@pytest.mark.parametrize(
    ("raw", "known"),
    [
        ({"EXIF:GPSStatus": "V"}, False),
        ({"EXIF:GPSStatus": "Measurement Void"}, False),
        ({}, False),
        ({"EXIF:GPSStatus": "A"}, True),
        ({"EXIF:GPSStatus": "Measurement Active"}, True),
    ],
)
def test_a_place_at_0_0_needs_a_fix(raw: JSONObject, *, known: bool) -> None:
    place: JSONObject = {"Composite:GPSLatitude": 0, "Composite:GPSLongitude": 0, "Composite:GPSAltitude": 0}
    output = read({**place, **raw})
    assert (output.gps_latitude, output.gps_longitude, output.gps_altitude) == (
        (0, 0, 0) if known else (None,) * 3
    )


def test_a_place_on_the_equator_or_the_prime_meridian() -> None:
    output = read({"Composite:GPSLatitude": 0, "Composite:GPSLongitude": 9.5, "EXIF:GPSStatus": "V"})
    assert (output.gps_latitude, output.gps_longitude) == (0, 9.5)


def test_a_hemisphere_that_is_none() -> None:
    raw: JSONObject = {"Composite:GPSLatitude": 12.5, "EXIF:GPSLatitude": 12.5, "EXIF:GPSLatitudeRef": ""}
    assert read(raw).gps_latitude is None
    assert read({"EXIF:GPSLatitude": 12.5, "EXIF:GPSLatitudeRef": "E"}).gps_latitude is None


VIDEO: JSONObject = {"File:MIMEType": "video/mp4", "QuickTime:ImageWidth": 320, "QuickTime:ImageHeight": 240}
HEIC: JSONObject = {"File:MIMEType": "image/heic", "File:ImageWidth": 640, "File:ImageHeight": 320}


@pytest.mark.parametrize(
    ("raw", "orientation", "shown"),
    [
        ({**VIDEO, "Composite:Rotation": 0}, 1, (320, 240)),
        ({**VIDEO, "Composite:Rotation": 90}, 6, (240, 320)),
        ({**VIDEO, "Composite:Rotation": 180}, 3, (320, 240)),
        ({**VIDEO, "Composite:Rotation": 270}, 8, (240, 320)),
        ({**VIDEO, "Composite:Rotation": -90}, 8, (240, 320)),
        ({**VIDEO, "Composite:Rotation": 45}, None, (320, 240)),
        # the matrix of the sound's track, which does not count
        (
            {**VIDEO, "Composite:Rotation": 90, "QuickTime:MatrixStructure": "1 0 0 0 1 0 0 0 1"},
            6,
            (240, 320),
        ),
        (
            {**VIDEO, "Composite:Rotation": 180, "QuickTime:MatrixStructure": "-1 0 0 0 1 0 320 0 1"},
            2,
            (320, 240),
        ),
        ({**VIDEO, "QuickTime:MatrixStructure": "0 1 0 1 0 0 0 0 1"}, 5, (240, 320)),
        ({**VIDEO, "QuickTime:PixelAspectRatio": "16:11"}, None, (465, 240)),
        ({**VIDEO, "QuickTime:PixelAspectRatio": "16:11", "Composite:Rotation": 90}, 6, (240, 465)),
        ({**VIDEO, "QuickTime:PixelAspectRatio": "0:0"}, None, (320, 240)),
        (HEIC, 1, (640, 320)),
        ({**HEIC, "QuickTime:Rotation": 270}, 6, (320, 640)),
        ({**HEIC, "QuickTime:Rotation": 3}, 6, (320, 640)),  # the same in newer versions of ExifTool
        ({**HEIC, "QuickTime:Rotation": 90}, 8, (320, 640)),
        ({**HEIC, "QuickTime:Rotation": 180}, 3, (640, 320)),
        ({**HEIC, "QuickTime:Rotation": 0, "EXIF:Orientation": 6}, 1, (640, 320)),
        ({**HEIC, "EXIF:Orientation": 6}, 1, (640, 320)),
        ({**HEIC, "QuickTime:Rotation": 3, "EXIF:Orientation": 8}, 6, (320, 640)),
        ({**HEIC, "QuickTime:Mirroring": 1}, 2, (640, 320)),
        ({**HEIC, "QuickTime:Mirroring": 0}, 4, (640, 320)),
        ({**HEIC, "QuickTime:Mirroring": 0, "QuickTime:Rotation": 2}, 2, (640, 320)),
        ({**HEIC, "QuickTime:Mirroring": 1, "QuickTime:Rotation": 1}, 7, (320, 640)),
        ({**HEIC, "QuickTime:Mirroring": 0, "QuickTime:Rotation": 1}, 5, (320, 640)),
        (
            {"File:MIMEType": "image/jpeg", "Composite:ImageSize": "640 320", "EXIF:Orientation": 6},
            6,
            (320, 640),
        ),
        (
            {"File:MIMEType": "image/jpeg", "Composite:ImageSize": "640 320", "EXIF:Orientation": 4},
            4,
            (640, 320),
        ),
        ({"Composite:ImageSize": "640 320"}, None, (640, 320)),
    ],
)
def test_how_a_file_is_shown(raw: JSONObject, orientation: int | None, shown: tuple[int, int]) -> None:
    output = read(raw)
    assert output.orientation == orientation
    assert (output.display_width, output.display_height) == shown


def test_a_video_whose_header_has_the_size_for_display() -> None:
    output = read(
        {
            "File:MIMEType": "video/quicktime",
            "Composite:ImageSize": "1920 1080",
            "QuickTime:ImageWidth": 1920,
            "QuickTime:ImageHeight": 1080,
            "QuickTime:SourceImageWidth": 1440,
            "QuickTime:SourceImageHeight": 1080,
        }
    )
    assert (output.image_width, output.image_height) == (1440, 1080)
    assert (output.display_width, output.display_height) == (1920, 1080)


def test_raw_tags_by_name() -> None:
    output = read({"EXIF:LensModel": "50mm", "XMP:LensModel": "other", "Keywords": ["a", "b"]})
    assert (output.tag("LensModel"), output.tag("XMP:LensModel")) == ("50mm", "other")
    assert (output.tag("Keywords"), output.tag("Missing"), output.tag("EXIF:Missing")) == (
        ["a", "b"],
        None,
        None,
    )


def test_degrees_written_as_fractions() -> None:
    assert as_latitude("48/1 51/1 2900/100", "S") == pytest.approx(-48.858056, abs=1e-6)
    assert as_latitude("0/0", "0/0") is None


@given(
    st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers() | st.text())
)
def test_no_value_is_too_strange(value: JsonValue) -> None:
    names = (
        "Make",
        "ISO",
        "FNumber",
        "Orientation",
        "GPSLatitude",
        "GPSLatitudeRef",
        "GPSAltitude",
        "ImageSize",
    )
    output = read(dict.fromkeys(names, value))
    assert output.gps_latitude is None or -90 <= output.gps_latitude <= 90
    assert as_integer(value) is None or as_number(value) is not None
    assert as_latitude(value, value) is None or as_number(value) is not None
    assert as_datetime(str(value), value) is None


NAMES = (
    "File:MIMEType", "Composite:ImageSize", "Composite:Rotation", "QuickTime:Rotation", "QuickTime:Mirroring",
    "QuickTime:MatrixStructure", "QuickTime:PixelAspectRatio",
    "QuickTime:ImageWidth", "QuickTime:ImageHeight",
    "QuickTime:SourceImageWidth", "QuickTime:CreateDate", "EXIF:DateTimeOriginal", "EXIF:SubSecTimeOriginal",
    "EXIF:OffsetTimeOriginal", "IPTC:DateCreated", "IPTC:TimeCreated", "EXIF:ISO", "EXIF:SensitivityType",
    "EXIF:RecommendedExposureIndex", "EXIF:ExposureTime", "EXIF:ShutterSpeedValue", "EXIF:GPSStatus",
    "EXIF:GPSLatitude", "EXIF:GPSLatitudeRef", "GPSLongitude", "H264:Make",
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=3),
    st.sampled_from(
        [
            "video/mp4",
            "image/heic",
            "2024:05:01 10:20:30",
            "9999:12:31 23:59:59-23:59",
            "16:11",
            "1e308 1e308",
            "V",
        ]
    ),
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_no_file_is_too_strange(raw: JSONObject) -> None:
    output = read(raw)
    assert output.iso is None or output.iso > 0
    assert output.exposure_time is None or 0 < output.exposure_time <= 86_400
    assert output.orientation is None or 1 <= output.orientation <= 8
    assert output.display_width is None or output.display_width > 0
    assert ExifOutput.model_validate(output.model_dump(mode="json")) == output, "as a server sends it"


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path) -> None:
    output = (await live_client.exif.extract(photo, wait=True)).output
    assert (output.image_width, output.image_height) == (640, 480)
    assert output.model == output.tag("Model")
    assert output.taken_at is not None


async def test_all_tags_are_read(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.exif.extract(photo, wait=True, timeout=SECONDS)
    assert job.status == "completed"
    assert any(key.endswith("Model") for key in job.output.raw_metadata)


async def test_typed_fields_of_a_photo(
    live_client: ComputeClient, server_under_test: ServerUnderTest, photo: Path
) -> None:
    output = (await live_client.exif.extract(photo, wait=True)).output
    assert (output.make, output.model, output.orientation) == ("Canon", "EOS R5", 1)
    # Real servers take what ExifTool prints for a number.
    assert server_under_test.agrees(output.software, "1.10", on_real_servers="1.1")
    assert (output.iso, output.f_number, output.exposure_time) == (200, 2.8, 0.004)
    assert output.taken_at == datetime(2025, 6, 21, 20, 47, 11)  # noqa: DTZ001 - the camera's clock has no zone
    assert output.gps_latitude == pytest.approx(45.97639, abs=1e-5)
    assert output.gps_longitude == pytest.approx(7.65861, abs=1e-5)
    assert output.gps_altitude == pytest.approx(3089)


async def test_tags_that_were_asked_for(live_client: ComputeClient, photo: Path) -> None:
    output = (await live_client.exif.extract(photo, tags=["Make", "ISO"], wait=True)).output
    assert (output.tag("Make"), output.tag("ISO"), output.tag("FNumber")) == ("Canon", 200, None)


async def test_its_file_says_the_same(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.exif.extract(photo, wait=True)
    assert live_client.exif.output_path(job) == "output/exif_metadata.json"
    assert json.loads(await live_client.exif.read(job)) == job.task_output


async def test_a_file_without_metadata(live_client: ComputeClient, tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "plain.png")
    output = (await live_client.exif.extract(tmp_path / "plain.png", wait=True)).output
    assert (output.image_width, output.image_height) == (4, 3)
    assert (output.make, output.model, output.taken_at, output.gps_latitude) == (None, None, None, None)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"tags": ""}),
        ({"tags": ["Make", "EXIF:ISO"]}, {"tags": "Make,EXIF:ISO"}),
        ({"tags": "Make, Model"}, {"tags": "Make,Model"}),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "exif", values, fields)


@pytest.mark.parametrize(("tags", "sent"), [("Make", b"Make"), (["Make", "Model"], b"Make,Model")])
async def test_tags_as_they_are_sent(tags: Sequence[str], sent: bytes) -> None:
    server = StubServer(http_response("200 OK", '{"job_id": "j", "task_type": "exif", "status": "queued"}'))
    async with server.running() as client:
        await client.exif.extract(b"x", tags=tags)
    assert b'name="tags"\r\n\r\n%s\r\n' % sent in server.requests[0]


@pytest.mark.parametrize("values", [{"tags": ["Make,Model"]}, {"tags": [""]}, {"tags": ["-all="]}])
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    check_refused(silent_client, "exif", values, "tags")


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    extract = silent_client.exif.extract
    with pytest.raises(InvalidParameterError, match=r"exif: tags\.1='-all=': "):
        await extract(b"x", tags=["Make", "-all="])
    with pytest.raises(InvalidParameterError, match="empty"):
        await extract(b"")
    with pytest.raises(InvalidParameterError, match=r"missing\.jpg"):
        await extract(tmp_path / "missing.jpg")
