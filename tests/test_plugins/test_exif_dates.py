"""When a file was taken and created, from the date tags of all kinds of files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from cl_client.plugins.exif import ExifOutput

if TYPE_CHECKING:
    from cl_client import JSONObject


def read(raw: JSONObject, **said: object) -> ExifOutput:
    return ExifOutput.model_validate({**said, "raw_metadata": raw})


INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("text", "offset", "when"),
    [
        ("2025:12:30 10:20:30", None, datetime(2025, 12, 30, 10, 20, 30)),  # noqa: DTZ001 - its zone is not known
        ("2025:12:30 10:20:30", "+05:30", datetime(2025, 12, 30, 10, 20, 30, tzinfo=INDIA)),
        ("2025:12:30 10:20:30", "Z", datetime(2025, 12, 30, 10, 20, 30, tzinfo=UTC)),
        ("2025:12:30 10:20:30", "here", datetime(2025, 12, 30, 10, 20, 30)),  # noqa: DTZ001 - its zone is not known
        ("2025:12:30 10:20:30+05:30", "Z", datetime(2025, 12, 30, 10, 20, 30, tzinfo=INDIA)),
        ("2025:12:30 10:20:30.25Z", None, datetime(2025, 12, 30, 10, 20, 30, 250_000, tzinfo=UTC)),
        ("2025-12-30T10:20:30 +0530", None, datetime(2025, 12, 30, 10, 20, 30, tzinfo=INDIA)),
        ("0000:00:00 00:00:00", "Z", None),
        ("2025:13:30 10:20:30", None, None),
        ("2025:12:30", None, None),
        ("yesterday", None, None),
        (None, "Z", None),
    ],
)
def test_points_in_time(text: str | None, offset: str | None, when: datetime | None) -> None:
    raw: JSONObject = {"EXIF:OffsetTimeOriginal": offset, "EXIF:OffsetTimeDigitized": "+01:00"}
    read_back = read(raw, date_time_original=text).taken_at
    assert read_back == when
    assert (read_back and read_back.utcoffset()) == (when and when.utcoffset())


def test_the_two_times_have_offsets_of_their_own() -> None:
    raw: JSONObject = {
        "EXIF:DateTimeOriginal": "2025:12:30 10:20:30",
        "EXIF:CreateDate": "2025:12:30 10:20:31",
        "EXIF:OffsetTimeDigitized": "+05:30",
    }
    output = read(raw)
    assert output.taken_at is not None
    assert output.taken_at.tzinfo is None
    assert output.created_at == datetime(2025, 12, 30, 10, 20, 31, tzinfo=INDIA)


def test_a_clock_that_was_never_set_is_passed_over() -> None:
    raw: JSONObject = {
        "EXIF:DateTimeOriginal": "0000:00:00 00:00:00",
        "XMP:DateTimeOriginal": "2025:12:30 10:20:30",
    }
    assert read(raw).date_time_original == "2025:12:30 10:20:30"


UTC_MORNING = datetime(2024, 5, 1, 8, 20, 30, tzinfo=UTC)
MORNING = datetime(2024, 5, 1, 10, 20, 30)  # noqa: DTZ001 - its zone is not known


@pytest.mark.parametrize(
    ("raw", "when"),
    [
        # bursts: fractions of a second
        ({"EXIF:DateTimeOriginal": "2024:05:01 10:20:30", "EXIF:SubSecTimeOriginal": 25}, 0.25),
        ({"EXIF:DateTimeOriginal": "2024:05:01 10:20:30", "EXIF:SubSecTimeOriginal": "05"}, 0.05),
        ({"EXIF:DateTimeOriginal": "2024:05:01 10:20:30", "EXIF:SubSecTimeOriginal": "123456789"}, 0.123456),
        ({"EXIF:DateTimeOriginal": "2024:05:01 10:20:30", "EXIF:SubSecTimeOriginal": "   "}, 0),
        ({"ExifIFD:DateTimeOriginal": "2024:05:01 10:20:30", "ExifIFD:SubSecTimeOriginal": 5}, 0.5),
        ({"SubSecDateTimeOriginal": "2024:05:01 10:20:30.25"}, 0.25),
        ({"EXIF:DateTimeOriginal": "2024:05:01 10:20:30", "XMP:SubSecTimeOriginal": 25}, 0),
        # other ways to write the same
        ({"EXIF:DateTimeOriginal": "2024/5/1 10:20:30"}, 0),
        ({"EXIF:DateTimeOriginal": "2024-05-01T10:20:30,5"}, 0.5),
    ],
)
def test_fractions_of_a_second(raw: JSONObject, when: float) -> None:
    assert read(raw).taken_at == MORNING + timedelta(seconds=when)


@pytest.mark.parametrize(
    "unknown",
    [
        "0000:00:00 00:00:00",
        "0000-00-00T00:00:00Z",
        "    :  :     :  :  ",
        " ",
        "\0" * 19,
        "0001:01:01 00:00:00",
        "2024:13:45 10:20:30",
        "2024:05:  :  :  ",
        None,
    ],
)
@pytest.mark.parametrize(
    "other",
    [
        {"XMP:DateTimeOriginal": "2024:05:01 10:20:30+02:00"},
        {"XMP:DateCreated": "2024:05:01 10:20:30+02:00"},
        {"IPTC:DateCreated": "2024:05:01", "IPTC:TimeCreated": "10:20:30+02:00"},
        {"Composite:DateTimeCreated": "2024:05:01 10:20:30+02:00"},
        {"MakerNotes:DateTimeOriginal": "2024:05:01 10:20:30+02:00"},
    ],
)
def test_other_metadata_has_the_date_if_exif_has_none(unknown: str | None, other: JSONObject) -> None:
    output = read({"EXIF:DateTimeOriginal": unknown, **other})
    assert output.taken_at == UTC_MORNING
    assert output.date_time_original == "2024:05:01 10:20:30+02:00"


def test_a_date_without_a_time_of_day_stays_a_text() -> None:
    output = read({"XMP:DateCreated": "2024:05:01", "IPTC:DateCreated": "2024:05:02"})
    assert (output.taken_at, output.date_time_original) == (None, "2024:05:01")


@pytest.mark.parametrize(
    ("raw", "when"),
    [
        # Android, and everything else that follows the standard
        ({"QuickTime:CreateDate": "2024:05:01 08:20:30", "QuickTime:AndroidVersion": 14}, UTC_MORNING),
        ({"QuickTime:CreateDate": "2024:05:01 08:20:30"}, UTC_MORNING),
        (
            {
                "QuickTime:CreateDate": "0000:00:00 00:00:00",
                "QuickTime:MediaCreateDate": "2024:05:01 08:20:30",
            },
            UTC_MORNING,
        ),
        # ExifTool's option QuickTimeUTC
        ({"QuickTime:CreateDate": "2024:05:01 10:20:30+02:00"}, UTC_MORNING),
        # Apple: with its zone
        (
            {
                "QuickTime:CreateDate": "2024:05:01 08:20:31",
                "QuickTime:CreationDate": "2024:05:01 10:20:30+02:00",
            },
            UTC_MORNING,
        ),
        ({"QuickTime:ContentCreateDate": "2024:05:01 10:20:30+02:00"}, UTC_MORNING),
        # XAVC, AVCHD, AVI, Matroska, Windows Media
        (
            {
                "QuickTime:CreateDate": "2024:05:01 08:20:00",
                "XML:CreationDateValue": "2024:05:01 10:20:30+02:00",
            },
            UTC_MORNING,
        ),
        ({"H264:DateTimeOriginal": "2024:05:01 10:20:30+02:00"}, UTC_MORNING),
        ({"RIFF:DateTimeOriginal": "2024:05:01 10:20:30"}, MORNING),
        ({"Matroska:DateTimeOriginal": "2024:05:01 08:20:30Z"}, UTC_MORNING),
        ({"ASF:CreationDate": "2024:05:01 08:20:30Z"}, UTC_MORNING),
        # cameras that also write their local time, or nothing else
        (
            {"QuickTime:CreateDate": "2024:05:01 08:20:30", "EXIF:DateTimeOriginal": "2024:05:01 10:20:30"},
            MORNING,
        ),
        (
            {"QuickTime:CreateDate": "2024:05:01 10:20:30", "QuickTime:CompressorName": "GoPro AVC encoder"},
            MORNING,
        ),
        ({"QuickTime:CreateDate": "2024:05:01 10:20:30", "GoPro:Model": "HERO10 Black"}, MORNING),
        # clocks that were never set
        ({"QuickTime:CreateDate": "0000:00:00 00:00:00"}, None),
        ({"QuickTime:CreateDate": "1904:01:01 00:00:07"}, None),
        ({"QuickTime:CreateDate": "1970:01:01 00:00:00"}, None),
        # what is not about the original
        ({"XMP:CreateDate": "2024:05:01 10:20:30"}, None),
        ({"EXIF:CreateDate": "2024:05:01 10:20:30", "EXIF:ModifyDate": "2024:05:01 10:20:30"}, None),
        ({"PDF:CreationTime": "2024:05:01 10:20:30"}, None),
        ({"PNG:CreationTime": "2024:05:01 10:20:30"}, MORNING),
    ],
)
def test_when_other_files_were_taken(raw: JSONObject, when: datetime | None) -> None:
    assert read(raw).taken_at == when


def test_the_zone_of_an_iphone_is_kept() -> None:
    taken_at = read({"QuickTime:CreationDate": "2024:05:01 10:20:30+02:00"}).taken_at
    assert taken_at is not None
    assert taken_at.utcoffset() == timedelta(hours=2)


def test_when_a_file_was_created() -> None:
    video = read({"QuickTime:CreateDate": "2024:05:01 08:20:30"})
    assert (video.create_date, video.created_at) == ("2024:05:01 08:20:30", UTC_MORNING)
    unset = read({"QuickTime:CreateDate": "1970:01:01 00:00:00"})
    assert (unset.create_date, unset.created_at) == (None, None)
    scan = read({"IPTC:DigitalCreationDate": "2024:05:01", "IPTC:DigitalCreationTime": "10:20:30+02:00"})
    assert (scan.created_at, scan.taken_at) == (UTC_MORNING, None)


def test_times_that_the_server_says() -> None:
    output = read({}, taken_at="2024-05-01T10:20:30.25+02:00", created_at="sometime")
    assert output.taken_at == UTC_MORNING + timedelta(seconds=0.25)
    assert output.created_at is None
