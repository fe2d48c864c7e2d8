"""Metadata of real files, read by ExifTool and by Pillow, which must agree on the typed fields."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, cast

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from cl_client.local.samples import camera_exif, draw_drawing, draw_photo, draw_video
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.metadata import exif
from cl_client.plugins.exif import ExifOutput, ExifParams
from support import require

if TYPE_CHECKING:
    from pathlib import Path

TYPED_FIELDS = sorted(set(ExifOutput.model_fields) - {"raw_metadata", "warnings"})


class Extract(Protocol):
    def __call__(self, source: Path, tags: str = "") -> ExifOutput: ...


@pytest.fixture
def require_exiftool() -> None:
    require("exiftool")


@pytest.fixture
def without_exiftool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))


@pytest.fixture(params=["require_exiftool", "without_exiftool"])
def extract(request: pytest.FixtureRequest, run_exif: Extract) -> Extract:
    """The task with either engine."""
    request.getfixturevalue(cast("str", request.param))
    return run_exif


@pytest.fixture
def run_exif(tmp_path: Path) -> Extract:
    def run(source: Path, tags: str = "") -> ExifOutput:
        output = tmp_path / "exif_metadata.json"
        context = TaskContext(
            ExifParams.model_validate({"tags": tags}), source, output, tmp_path, lambda _: None
        )
        task_output = exif.run(context)
        assert json.loads(output.read_bytes()) == task_output, "the file is not the same as the output"
        assert str(tmp_path) not in json.dumps(task_output), "a path of the server leaks"
        assert set(TYPED_FIELDS) <= task_output.keys()
        return ExifOutput.model_validate(task_output)

    return run


def typed(output: ExifOutput) -> dict[str, object]:
    return {field: cast("object", getattr(output, field)) for field in TYPED_FIELDS}


@pytest.mark.parametrize("name", ["photo.jpg", "photo.heic", "photo.webp", "photo.png", "photo.tiff"])
def test_the_typed_fields(tmp_path: Path, extract: Extract, name: str) -> None:
    source = tmp_path / name
    draw_photo(source, size=(128, 64))  # HEIC codes blocks of 64, and ExifTool gives the size before the crop
    output = extract(source)
    assert typed(output) == {
        "make": "Canon",
        "model": "EOS R5",
        "date_time_original": "2025:06:21 20:47:11",
        "create_date": "2025:06:21 20:47:11",
        "taken_at": datetime(2025, 6, 21, 20, 47, 11),  # noqa: DTZ001 - the camera's clock has no zone
        "created_at": datetime(2025, 6, 21, 20, 47, 11),  # noqa: DTZ001 - the camera's clock has no zone
        "image_width": 128,
        "image_height": 64,
        "display_width": 128,
        "display_height": 64,
        "orientation": 1,
        "iso": 200,
        "f_number": 2.8,
        "exposure_time": 0.004,
        "focal_length": 85,
        "gps_latitude": pytest.approx(45 + 58 / 60 + 35 / 3600),
        "gps_longitude": pytest.approx(7 + 39 / 60 + 31 / 3600),
        "gps_altitude": 3089,
        "software": "1.10",
    }
    assert output.raw_metadata["EXIF:Make"] == "Canon"
    assert output.raw_metadata["EXIF:ExposureTime"] == 0.004
    assert output.raw_metadata["EXIF:ISO"] == 200
    assert output.raw_metadata["File:FileName"] == name


@pytest.mark.usefixtures("require_exiftool")
def test_pillow_writes_raw_values_as_exiftool_does(
    tmp_path: Path, run_exif: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = camera_exif(6)
    tags[ExifTags.Base.XPTitle] = "Tïtel\0".encode("utf-16-le")
    tags[ExifTags.Base.Artist] = "Zoë"
    details = tags.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.UserComment] = b"ASCII\0\0\0hello"
    details[ExifTags.Base.LensSpecification] = tuple(map(IFDRational, (24, 70, 2.8, 2.8)))
    details[ExifTags.Base.ComponentsConfiguration] = b"\1\2\3\0"
    details[ExifTags.Base.ExposureBiasValue] = IFDRational(-1, 3)
    tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSTimeStamp] = (
        IFDRational(9),
        IFDRational(5),
        IFDRational(7),
    )
    source = tmp_path / "photo.jpg"
    Image.new("RGB", (80, 60)).save(source, exif=tags)
    by_exiftool = run_exif(source).raw_metadata
    monkeypatch.setenv("PATH", "")
    by_pillow = run_exif(source).raw_metadata
    different = {
        key: (value, by_exiftool.get(key))
        for key, value in by_pillow.items()
        if by_exiftool.get(key) != pytest.approx(value)
    }
    assert not different
    assert {"EXIF:XPTitle", "EXIF:UserComment", "EXIF:LensInfo", "EXIF:GPSTimeStamp"} <= by_pillow.keys()


@pytest.mark.parametrize("name", ["photo.jpg", "photo.tiff", "photo.heic"])
def test_size_is_as_stored_and_orientation_says_how_to_turn(
    tmp_path: Path, extract: Extract, name: str
) -> None:
    source = tmp_path / name
    draw_photo(source, size=(64, 128), orientation=6)
    output = extract(source)
    assert (output.image_width, output.image_height, output.orientation) == (128, 64, 6)
    assert (output.display_width, output.display_height) == (64, 128)


def test_south_west_and_below_the_sea_are_negative(tmp_path: Path, extract: Extract) -> None:
    tags = camera_exif()
    place = tags.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef] = "S"
    place[ExifTags.GPS.GPSLongitudeRef] = "W"
    place[ExifTags.GPS.GPSAltitudeRef] = b"\1"
    source = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(source, exif=tags)
    output = extract(source)
    assert output.gps_latitude == pytest.approx(-45.9763889)
    assert output.gps_longitude == pytest.approx(-7.6586111)
    assert output.gps_altitude == -3089


def test_tags_restrict_the_raw_metadata_alone(tmp_path: Path, extract: Extract) -> None:
    source = tmp_path / "photo.jpg"
    draw_photo(source, size=(80, 60))
    output = extract(source, "Make,iso,EXIF:Model,GPSLatitude,Nonsense")
    assert output.raw_metadata == {
        "Make": "Canon",
        "iso": 200,
        "EXIF:Model": "EOS R5",
        "GPSLatitude": pytest.approx(45.9763889),
    }
    assert typed(output) == typed(extract(source))


@pytest.mark.parametrize("name", ["plain.png", "plain.jpg", "plain.gif", "plain.webp", "plain.bmp"])
def test_a_picture_without_exif_is_a_success_with_nulls(tmp_path: Path, extract: Extract, name: str) -> None:
    source = tmp_path / name
    Image.new("RGB", (80, 60)).save(source)
    filled = {field: value for field, value in typed(extract(source)).items() if value is not None}
    assert filled == {"image_width": 80, "image_height": 60, "display_width": 80, "display_height": 60}


def test_damaged_exif_leaves_nulls(tmp_path: Path, extract: Extract) -> None:
    source = tmp_path / "photo.jpg"
    Image.new("RGB", (80, 60)).save(source, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    output = extract(source)
    assert output.make is None
    assert output.image_width == 80
    assert output.warnings


def test_values_that_say_nothing_are_null(tmp_path: Path, extract: Extract) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "   "
    details = tags.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "0000:00:00 00:00:00"
    details[ExifTags.Base.ExposureTime] = IFDRational(1, 0)
    source = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(source, exif=tags)
    output = extract(source)
    assert (output.make, output.date_time_original, output.exposure_time) == (None, None, None)


@pytest.mark.parametrize("name", ["-make=x.jpg", "-@ args.jpg", "été à la plage ☀.jpg"])
def test_odd_file_names(tmp_path: Path, extract: Extract, name: str) -> None:
    source = tmp_path / name
    draw_photo(source, size=(80, 60))
    before = source.read_bytes()
    output = extract(source)
    assert output.model == "EOS R5"
    assert output.raw_metadata["File:FileName"] == name
    assert source.read_bytes() == before


def test_a_relative_path_that_looks_like_an_option(
    tmp_path: Path, extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_photo(tmp_path / "photo.jpg", size=(80, 60))
    (tmp_path / "photo.jpg").rename(tmp_path / "-ver")
    monkeypatch.chdir(tmp_path)
    assert extract((tmp_path / "-ver").relative_to(tmp_path)).make == "Canon"


@pytest.mark.usefixtures("require_exiftool")
def test_a_video_is_read_by_exiftool(tmp_path: Path, run_exif: Extract) -> None:
    source = tmp_path / "clip.mp4"
    draw_video(source, seconds=0.2, size=(64, 48))
    output = run_exif(source)
    assert (output.image_width, output.image_height) == (64, 48)
    assert output.create_date is None, "the encoder sets no date"
    assert output.raw_metadata["File:MIMEType"] == "video/mp4"


@pytest.mark.usefixtures("without_exiftool")
def test_a_video_without_exiftool_fails_with_the_remedy(tmp_path: Path, run_exif: Extract) -> None:
    source = tmp_path / "clip.mp4"
    draw_video(source, seconds=0.2, size=(64, 48))
    with pytest.raises(TaskFailedError, match=r"^clip\.mp4: video metadata needs ExifTool, which is not"):
        run_exif(source)


@pytest.mark.usefixtures("without_exiftool")
def test_a_drawing_without_exiftool(tmp_path: Path, run_exif: Extract) -> None:
    source = tmp_path / "drawing.png"
    draw_drawing(source, size=(80, 60))
    raw = run_exif(source).raw_metadata
    assert (raw["File:FileType"], raw["File:MIMEType"]) == ("PNG", "image/png")
    assert (raw["File:ImageWidth"], raw["File:FileSize"]) == (80, source.stat().st_size)


@pytest.mark.parametrize("content", [b"Buy milk. " * 100, bytes(4096), b"%PDF-1.7\n%%EOF", b""])
def test_what_is_no_media_has_nulls_and_a_warning(tmp_path: Path, extract: Extract, content: bytes) -> None:
    source = tmp_path / "notes.jpg"
    source.write_bytes(content)
    output = extract(source)
    assert set(typed(output).values()) == {None}
    assert any("not an image, video or audio" in warning for warning in output.warnings)
    assert output.raw_metadata["File:FileName"] == "notes.jpg"


@pytest.mark.skipif(os.name == "nt", reason="needs a program that is a script")
def test_an_exiftool_that_does_not_work_is_named(
    tmp_path: Path, run_exif: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    broken = programs / "exiftool"
    broken.write_text("#!/bin/sh\necho no perl here >&2\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    source = tmp_path / "photo.jpg"
    draw_photo(source, size=(8, 8))
    with pytest.raises(TaskFailedError, match=r"^photo\.jpg: ExifTool returned no metadata: no perl here$"):
        run_exif(source)
