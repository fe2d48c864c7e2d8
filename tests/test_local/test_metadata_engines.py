"""ExifTool and Pillow agree on every typed field of pictures of every kind."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import pillow_heif
import pytest
from PIL import ExifTags, Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from cl_client.local.samples import camera_exif, draw_photo, draw_video
from cl_client.local.tasks.contract import TaskContext
from cl_client.local.tasks.metadata import exif
from cl_client.plugins.exif import ExifOutput, ExifParams
from metadata_files import heif_transformed, iptc_data, iptc_segment, with_segment, xmp_packet
from support import require
from tiff_files import Directory, write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Drawn: TypeAlias = Callable[[Path], Path]

Base, GPS = ExifTags.Base, ExifTags.GPS
ZERO = (IFDRational(0), IFDRational(0), IFDRational(0))
FIELDS = sorted(set(ExifOutput.model_fields) - {"raw_metadata", "warnings"})


def jpeg(path: Path, change: Callable[[Image.Exif, dict[int, object], dict[int, object]], None]) -> Path:
    tags = camera_exif()
    change(tags, tags.get_ifd(ExifTags.IFD.Exif), tags.get_ifd(ExifTags.IFD.GPSInfo))
    Image.new("RGB", (80, 60)).save(path / "photo.jpg", exif=tags)
    return path / "photo.jpg"


def changed(**values: object) -> Drawn:
    """A photo whose EXIF differs in some tags; None removes a tag."""

    def draw(folder: Path) -> Path:
        def change(main: Image.Exif, details: dict[int, object], place: dict[int, object]) -> None:
            for name, value in values.items():
                if name.startswith("GPS"):
                    directory, tag = place, int(GPS[name])
                else:
                    directory = cast("dict[int, object]", main) if name in {"Make", "Model"} else details
                    tag = int(Base[name])
                if value is None:
                    del directory[tag]
                else:
                    directory[tag] = value

        return jpeg(folder, change)

    return draw


def photo(name: str, orientation: int = 1) -> Drawn:
    def draw(folder: Path) -> Path:
        assert orientation in range(1, 9)
        draw_photo(folder / name, size=(128, 64), orientation=cast("Literal[1]", orientation))
        return folder / name

    return draw


def heif(suffix: str, *, exif_orientation: int | None, transforms: bytes) -> Drawn:
    def draw(folder: Path) -> Path:
        return heif_transformed(folder / f"photo.{suffix}", exif_orientation, transforms)

    return draw


def with_xmp(name: str, **properties: str) -> Drawn:
    """A picture that has no EXIF, but XMP."""

    def draw(folder: Path) -> Path:
        picture, packet = Image.new("RGB", (80, 60)), xmp_packet(properties)
        if name.endswith(".tiff"):
            picture.save(folder / name, tiffinfo={700: packet})
        elif name.endswith(".png"):
            texts = PngImagePlugin.PngInfo()
            texts.add_itxt("XML:com.adobe.xmp", packet.decode())
            picture.save(folder / name, pnginfo=texts)
        else:
            picture.save(folder / name, xmp=packet)
        return folder / name

    return draw


def with_iptc(folder: Path) -> Path:
    file = folder / "photo.jpg"
    Image.new("RGB", (80, 60)).save(file)
    with_segment(file, iptc_segment({55: "20240501", 60: "102030+0200", 62: "20240601", 63: "112131-0330"}))
    return file


def with_iptc_in_tiff(folder: Path) -> Path:
    tags = {33723: iptc_data({55: "20240501", 60: "102030Z"})}
    Image.new("RGB", (80, 60)).save(folder / "scan.tiff", tiffinfo=tags)
    return folder / "scan.tiff"


def with_png_texts(folder: Path) -> Path:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Software", "Example 2.10")
    texts.add_text("Creation Time", "2024:05:01 10:20:30")
    Image.new("RGB", (80, 60)).save(folder / "photo.png", pnginfo=texts)
    return folder / "photo.png"


def preview_first(folder: Path) -> Path:
    full = Directory((96, 72), subfile_type=0)
    write_tiff(folder / "raw.dng", [Directory((16, 12), subfile_type=1, children=[full], tags={274: (6,)})])
    return folder / "raw.dng"


def cut_exif(length: int) -> Drawn:
    def draw(folder: Path) -> Path:
        data = camera_exif().tobytes()
        buffer = io.BytesIO()
        Image.new("RGB", (80, 60)).save(buffer, "JPEG", exif=data[:length])
        (folder / "photo.jpg").write_bytes(buffer.getvalue())
        return folder / "photo.jpg"

    return draw


KINDS: dict[str, Drawn] = {
    **{name: photo(name) for name in ("a.jpg", "a.heic", "a.avif", "a.webp", "a.png", "a.tiff", "a.jp2")},
    **{f"jpeg turned {turn}": photo("photo.jpg", turn) for turn in range(1, 9)},
    **{f"tiff turned {turn}": photo("photo.tiff", turn) for turn in range(1, 9)},
    **{f"webp turned {turn}": photo("photo.webp", turn) for turn in (3, 6)},
    **{f"avif turned {turn}": photo("photo.avif", turn) for turn in range(1, 9)},
    **{f"heic turned {turn}": photo("photo.heic", turn) for turn in range(1, 9)},
    "preview first": preview_first,
    "subseconds": changed(SubsecTimeOriginal="05", OffsetTimeOriginal="+02:00", SubsecTimeDigitized="250"),
    "subseconds with blanks": changed(SubsecTimeOriginal="5  ", OffsetTimeOriginal="   :  "),
    "no date": changed(DateTimeOriginal="0000:00:00 00:00:00", DateTimeDigitized="    :  :     :  :  "),
    "blank date": changed(DateTimeOriginal=" " * 19),
    "date of nulls": changed(DateTimeOriginal="\0" * 19),
    "date with slashes": changed(DateTimeOriginal="2024/5/1 9:20:30"),
    "iso 0": changed(ISOSpeedRatings=0),
    "iso twice": changed(ISOSpeedRatings=(0, 400)),
    **{
        f"iso by SensitivityType {kind}": changed(
            ISOSpeedRatings=65535,
            SensitivityType=kind,
            StandardOutputSensitivity=102400,
            RecommendedExposureIndex=204800,
            ISOSpeed=409600,
        )
        for kind in range(8)
    },
    "iso 65535 without a successor": changed(ISOSpeedRatings=65535),
    "manual lens": changed(FNumber=IFDRational(0, 1), FocalLength=IFDRational(0, 1)),
    "divisions by zero": changed(
        FNumber=IFDRational(1, 0), FocalLength=IFDRational(0, 0), ExposureTime=IFDRational(1, 0)
    ),
    "aperture in APEX": changed(FNumber=None, ApertureValue=IFDRational(4, 1)),
    "aperture of 0 in APEX": changed(FNumber=None, ApertureValue=IFDRational(0, 1)),
    "exposure in APEX": changed(ExposureTime=None, ShutterSpeedValue=IFDRational(8, 1)),
    "exposure as denominator": changed(
        ExposureTime=IFDRational(250, 1), ShutterSpeedValue=IFDRational(7966, 1000)
    ),
    "exposure of 0": changed(ExposureTime=IFDRational(0, 1)),
    "long exposure": changed(ExposureTime=IFDRational(240, 1)),
    "rubbish after a NUL": changed(Make="Example Works\0\x07x", Model="ION\0\xff\xfe"),
    "no fix": changed(GPSLatitude=ZERO, GPSLongitude=ZERO, GPSStatus="V", GPSAltitude=IFDRational(0)),
    "0, 0 without a status": changed(GPSLatitude=ZERO, GPSLongitude=ZERO),
    "0, 0 with a fix": changed(GPSLatitude=ZERO, GPSLongitude=ZERO, GPSStatus="A"),
    "last known place": changed(GPSStatus="V"),
    "no hemispheres": changed(GPSLatitudeRef=None, GPSLongitudeRef=None),
    "blank hemisphere": changed(GPSLatitudeRef=" "),
    "no latitude's hemisphere": changed(GPSLatitudeRef=None),
    "place of division by zero": changed(GPSLatitude=(IFDRational(1, 0), *ZERO[1:])),
    "no altitude reference": changed(GPSAltitudeRef=None),
    "xmp in jpeg": with_xmp(
        "photo.jpg",
        **{
            "photoshop:DateCreated": "2024-05-01T10:20:30.25+02:00",
            "tiff:Make": "Example",
            "tiff:Model": "One",
        },
    ),
    "xmp in png": with_xmp("photo.png", **{"exif:DateTimeOriginal": "2024-05-01T10:20:30"}),
    "xmp in webp": with_xmp(
        "photo.webp", **{"xmp:CreateDate": "2024-05-01T10:20Z", "xmp:CreatorTool": "Example 2"}
    ),
    **{
        f"xmp in {suffix}": with_xmp(f"photo.{suffix}", **{"photoshop:DateCreated": "2024-05-01T10:20:30"})
        for suffix in ("tiff", "heic", "avif")
    },
    "iptc in tiff": with_iptc_in_tiff,
    "xmp with a date alone": with_xmp("photo.jpg", **{"photoshop:DateCreated": "2024-05-01"}),
    "xmp with a month alone": with_xmp("photo.jpg", **{"photoshop:DateCreated": "2024-05"}),
    "xmp exposure": with_xmp(
        "photo.jpg",
        **{
            "exif:FNumber": "28/10", "exif:ExposureTime": "1/250", "exif:FocalLength": "85/1",
            "exif:ISOSpeedRatings": "640", "tiff:Orientation": "6",
        },
    ),
    "xmp place": with_xmp(
        "photo.jpg",
        **{
            "exif:GPSLatitude": "12,30.0S", "exif:GPSLongitude": "77,15,30W",
            "exif:GPSAltitude": "55/10", "exif:GPSAltitudeRef": "1",
        },
    ),
    "iptc": with_iptc,
    "png texts": with_png_texts,
    **{
        f"{suffix}: {words}": heif(suffix, exif_orientation=orientation, transforms=transforms)
        for suffix in ("heic", "avif")
        for words, orientation, transforms in (
            ("irot alone", None, b"\x03"),
            ("other turn in EXIF", 8, b"\x03"),
            ("EXIF alone", 6, b""),
            ("imir alone", None, b"\x11"),
            ("irot, then imir", 3, b"\x01\x10"),
            ("imir, then irot", 1, b"\x11\x03"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_both_engines_read_the_same(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    require("exiftool")
    pillow_heif.register_heif_opener()
    source = KINDS[kind](tmp_path)
    by_exiftool = extract(source)
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    by_pillow = extract(source)
    assert "ExifTool:ExifToolVersion" in by_exiftool.raw_metadata
    assert "ExifTool:ExifToolVersion" not in by_pillow.raw_metadata
    assert not differences(by_exiftool, by_pillow)
    assert bool(by_pillow.warnings) == bool(by_exiftool.warnings)


@pytest.mark.parametrize("length", [12, 40, 100, 180])
def test_of_damaged_exif_pillow_reads_no_more_than_exiftool(
    tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("exiftool")
    source = cut_exif(length)(tmp_path)
    by_exiftool = extract(source)
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    by_pillow = extract(source)
    assert all(other is None for _, other in differences(by_exiftool, by_pillow).values())
    assert by_exiftool.warnings
    assert by_pillow.warnings


@pytest.mark.parametrize("suffix", ["qoi", "sgi", "dds"])
def test_the_size_of_pictures_that_exiftool_may_not_know(tmp_path: Path, suffix: str) -> None:
    require("exiftool")
    source = tmp_path / f"drawing.{suffix}"
    Image.new("RGB", (60, 40)).save(source)
    found = extract(source)
    assert (found.image_width, found.image_height, found.warnings) == (60, 40, ())


def test_what_exiftool_says_about_itself_is_no_warning(tmp_path: Path) -> None:
    """It does not read all of a camcorder's stream, and corrects an address that some programs write."""
    require("exiftool")
    stream = tmp_path / "00001.MTS"
    draw_video(stream.with_suffix(".ts"), seconds=0.2)
    stream.with_suffix(".ts").rename(stream)
    rated = photo("rated.jpg")(tmp_path)
    packet = xmp_packet({"xmp:Rating": "4"})
    packet = packet.replace(
        b"xmlns:xmp=", b'xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/" xmlns:xmp='
    )
    name = b"http://ns.adobe.com/xap/1.0/\0"
    with_segment(rated, b"\xff\xe1" + (len(name + packet) + 2).to_bytes(2, "big") + name + packet)
    for file, said in ((stream, "ExtractEmbedded"), (rated, "MicrosoftPhoto")):
        found = extract(file)
        assert said in str(found.tag("ExifTool:Warning"))
        assert found.warnings == ()


def extract(source: Path) -> ExifOutput:
    context = TaskContext(
        ExifParams(), source, source.with_name("output.json"), source.parent, lambda _: None
    )
    output = exif.run(context)
    return ExifOutput.model_validate(output)


def differences(first: ExifOutput, second: ExifOutput) -> dict[str, tuple[object, object]]:
    ones = cast("dict[str, object]", first.model_dump())
    others = cast("dict[str, object]", second.model_dump())
    return {field: (ones[field], others[field]) for field in FIELDS if not same(ones[field], others[field])}


def same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    return one == other
