"""Conversion on real pictures of every kind, read back from the file that was written."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, cast

import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageSequence

from cl_client.local.samples import camera_exif, draw_photo, draw_video
from cl_client.local.tasks.contract import TaskFailedError
from pictures import (
    BLUE,
    GREEN,
    ORIENTATIONS,
    RED,
    STORED_AS,
    assert_close,
    assert_corners,
    corners_picture,
    pixel,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client._core.choices import ImageFormat
    from cl_client.local.samples import Orientation
    from conversions import Converter

FORMATS: tuple[ImageFormat, ...] = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_exif_orientation_comes_out_upright(
    tmp_path: Path, convert: Converter, orientation: Orientation
) -> None:
    stored = corners_picture()
    if orientation != 1:
        stored = stored.transpose(STORED_AS[orientation])
    source = tmp_path / "photo.jpg"
    stored.save(source, exif=camera_exif(orientation), quality=95)
    for target in ("png", "jpg", "webp", "tiff"):
        with Image.open(convert(source, target)) as image:
            assert image.size == (96, 64)
            assert_corners(image)
            exif = image.getexif()
            assert exif.get(ExifTags.Base.Orientation, 1) == 1
            assert exif[ExifTags.Base.Make] == "Canon"


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_tiff_comes_out_upright(
    tmp_path: Path, convert: Converter, orientation: Orientation
) -> None:
    stored = corners_picture()
    if orientation != 1:
        stored = stored.transpose(STORED_AS[orientation])
    source = tmp_path / "scan.tiff"
    stored.save(source, exif=camera_exif(orientation))
    with Image.open(convert(source, "jpg")) as image:
        assert image.size == (96, 64)
        assert_corners(image)
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source_name", ["photo.heic", "photo.avif", "photo.webp", "photo.tiff", "photo.bmp"])
def test_formats_convert_into_each_other(
    tmp_path: Path, convert: Converter, source_name: str, target: ImageFormat
) -> None:
    draw_photo(tmp_path / "any.heic", size=(8, 8))  # makes Pillow know HEIC
    source = tmp_path / source_name
    corners_picture().save(source)
    with Image.open(convert(source, target)) as image:
        assert image.format == {"jpg": "JPEG", "tiff": "TIFF"}.get(target, target.upper())
        assert image.size == (96, 64)
        assert_corners(image)


def test_exif_keeps_exposure_and_place_and_drops_what_is_stale(tmp_path: Path, convert: Converter) -> None:
    exif = camera_exif(6)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 64
    source = tmp_path / "photo.jpg"
    corners_picture((64, 96)).save(source, exif=exif)
    for target in ("jpg", "png", "webp", "tiff"):
        with Image.open(convert(source, target)) as image:
            copied = image.getexif()
            details = copied.get_ifd(ExifTags.IFD.Exif)
            place = copied.get_ifd(ExifTags.IFD.GPSInfo)
        assert details[ExifTags.Base.ExposureTime] == pytest.approx(1 / 250)
        assert ExifTags.Base.ExifImageWidth not in details
        assert place[ExifTags.GPS.GPSLatitude] == (45, 58, 35)


def test_damaged_exif_does_not_stop_a_conversion(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01", quality=95)
    with Image.open(convert(source, "png")) as image:
        assert_corners(image)


def test_maker_notes_too_long_for_jpeg_are_dropped_alone(tmp_path: Path, convert: Converter) -> None:
    exif = camera_exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(70_000)
    source = tmp_path / "photo.png"
    corners_picture().save(source, exif=exif)
    with Image.open(convert(source, "jpg")) as image:
        assert image.getexif()[ExifTags.Base.Model] == "EOS R5"


@pytest.mark.parametrize("target", ["png", "webp", "tiff", "gif"])
def test_transparency_is_kept(tmp_path: Path, convert: Converter, target: ImageFormat) -> None:
    source = tmp_path / "drawing.png"
    picture = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    picture.paste((*RED, 255), (30, 0, 60, 40))
    picture.save(source)
    with Image.open(convert(source, target)) as image:
        assert pixel(image, 0.1, 0.5, "RGBA")[3] == 0
        assert_close(pixel(image, 0.9, 0.5, "RGBA"), (*RED, 255), 20)


@pytest.mark.parametrize("target", ["jpg", "bmp"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(
    tmp_path: Path, convert: Converter, target: ImageFormat, mode: str
) -> None:
    source = tmp_path / "drawing.png"
    picture = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    picture.paste((90, 90, 90, 255), (30, 0, 60, 40))
    picture.convert(mode).save(source)
    with Image.open(convert(source, target)) as image:
        assert_close(pixel(image, 0.1, 0.5), (255, 255, 255))
        assert_close(pixel(image, 0.9, 0.5), (90, 90, 90))


def test_half_transparent_grey_survives_in_webp(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "veil.png"
    Image.new("LA", (20, 20), (100, 128)).save(source)
    with Image.open(convert(source, "webp")) as image:
        assert_close(pixel(image, 0.5, 0.5, "RGBA"), (100, 100, 100, 128), 6)


@pytest.mark.parametrize("target", ["jpg", "webp", "gif", "bmp"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, convert: Converter, target: ImageFormat) -> None:
    source = sixteen_bit_ramp(tmp_path / "scan.png")
    with Image.open(convert(source, target)) as image:
        assert_close(pixel(image, 0.0, 0.5), (0, 0, 0), 8)
        assert_close(pixel(image, 0.5, 0.5), (128, 128, 128), 8)
        assert_close(pixel(image, 1.0, 0.5), (255, 255, 255), 8)


@pytest.mark.parametrize("target", ["png", "tiff"])
def test_16_bit_grey_stays_16_bit_where_it_can(
    tmp_path: Path, convert: Converter, target: ImageFormat
) -> None:
    source = sixteen_bit_ramp(tmp_path / "scan.png")
    with Image.open(source) as before, Image.open(convert(source, target)) as after:
        assert after.mode == "I;16"
        assert after.tobytes() == before.tobytes()


def sixteen_bit_ramp(path: Path) -> Path:
    ramp = Image.new("I;16", (256, 8))
    for x in range(256):
        for y in range(8):
            ramp.putpixel((x, y), x * 257)
    ramp.save(path)
    return path


@pytest.mark.parametrize(
    ("mode", "low", "high"), [("F", 0.0, 1.0), ("F", 0.0, 255.0), ("F", -3.5, 9.5), ("I", 0, 65535)]
)
def test_deep_tiff_greys_fill_the_range(
    tmp_path: Path, convert: Converter, mode: str, low: float, high: float
) -> None:
    source = tmp_path / "depth.tiff"
    picture = Image.new(mode, (20, 10), low)
    picture.paste(high, (10, 0, 20, 10))
    picture.save(source)
    with Image.open(convert(source, "bmp")) as image:
        assert pixel(image, 0, 0) == (0, 0, 0)
        assert pixel(image, 1, 0) == (255, 255, 255)


@pytest.mark.parametrize("target", ["png", "webp", "jpg"])
def test_cmyk_jpeg_becomes_rgb(tmp_path: Path, convert: Converter, target: ImageFormat) -> None:
    source = tmp_path / "print.jpg"
    corners_picture().convert("CMYK").save(source, quality=95)
    with Image.open(source) as before:
        assert before.mode == "CMYK"
    with Image.open(convert(source, target)) as image:
        assert image.mode == "RGB"
        assert_corners(image)


def test_an_icc_profile_travels_only_to_a_mode_it_is_for(tmp_path: Path, convert: Converter) -> None:
    srgb = ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - Pillow leaves its return type out
    ).tobytes()
    colour, grey = tmp_path / "colour.png", tmp_path / "grey.png"
    corners_picture().save(colour, icc_profile=srgb)
    corners_picture().convert("L").save(grey, icc_profile=srgb)
    for target in ("jpg", "png", "webp", "tiff"):
        with Image.open(convert(colour, target)) as image:
            assert cast("object", image.info.get("icc_profile")) == srgb
    with Image.open(convert(grey, "jpg")) as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("target", ["png", "jpg", "webp", "tiff"])
def test_the_same_file_has_the_same_result_at_any_time(
    tmp_path: Path, convert: Converter, target: ImageFormat
) -> None:
    """Pillow converts Lab to sRGB, and adds a profile with the present time."""
    source = tmp_path / "lab.tif"
    corners_picture().convert("LAB").save(source)
    with Image.open(convert(source, target)) as image:
        assert_corners(image)
        profile = cast("bytes", image.info["icc_profile"])
    assert profile[36:40] == b"acsp"
    assert struct.unpack(">6H", profile[24:36]) == (2000, 1, 1, 0, 0, 0)


@pytest.fixture
def animation(tmp_path: Path) -> Path:
    path = tmp_path / "blink.gif"
    frames = [Image.new("RGB", (40, 30), colour) for colour in (RED, GREEN, BLUE)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 250, 400], loop=0)
    return path


@pytest.mark.parametrize("target", ["webp", "gif", "png", "tiff"])
def test_an_animation_keeps_frames_and_durations(
    convert: Converter, animation: Path, target: ImageFormat
) -> None:
    durations: list[object] = []
    with Image.open(convert(animation, target)) as image:
        for frame, colour in zip(ImageSequence.Iterator(image), (RED, GREEN, BLUE), strict=True):
            assert_close(pixel(frame, 0.5, 0.5), colour, 12)
            durations.append(frame.info.get("duration"))
    if target != "tiff":  # has pages, but no clock
        assert durations == [100, 250, 400]


def test_a_transparent_animation_leaves_no_remains_of_earlier_frames(
    tmp_path: Path, convert: Converter
) -> None:
    source = tmp_path / "walk.webp"
    frames: list[Image.Image] = []
    for x in (0, 20):
        frame = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
        ImageDraw.Draw(frame).ellipse((x, 0, x + 20, 30), fill=(*RED, 255))
        frames.append(frame)
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    for target in ("gif", "png", "webp"):
        with Image.open(convert(source, target)) as image:
            image.seek(1)
            assert pixel(image, 0.25, 0.5, "RGBA")[3] == 0
            assert pixel(image, 0.75, 0.5, "RGBA")[3] == 255


@pytest.mark.parametrize("target", ["jpg", "bmp"])
def test_a_format_without_frames_gets_the_first(
    convert: Converter, animation: Path, target: ImageFormat
) -> None:
    with Image.open(convert(animation, target)) as image:
        assert_close(pixel(image, 0.5, 0.5), RED)


def test_quality_is_85_unless_given(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "photo.png"
    draw_photo(source, size=(320, 240))
    for target in ("jpg", "webp"):
        default = convert(source, target).read_bytes()
        assert convert(source, target, 85).read_bytes() == default
        assert len(convert(source, target, 20).read_bytes()) < len(default)


@pytest.mark.parametrize("name", ["-rf.jpg", "été à la plage ☀.jpg", "a:b %d.jpg"])
def test_odd_file_names(tmp_path: Path, convert: Converter, name: str) -> None:
    source = tmp_path / name
    with io.BytesIO() as data:
        corners_picture().save(data, "JPEG", quality=95)
        try:
            source.write_bytes(data.getvalue())
        except OSError:
            pytest.skip("the file system has no such names")
    with Image.open(convert(source, "png")) as image:
        assert_corners(image)


@pytest.mark.parametrize("source_name", ["cut.jpg", "cut.png", "cut.gif", "cut.tiff"])
def test_a_truncated_picture_is_converted_as_far_as_it_goes(
    tmp_path: Path, convert: Converter, source_name: str
) -> None:
    source = tmp_path / source_name
    draw_photo(source, size=(400, 300))
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) * 6 // 10])
    with Image.open(convert(source, "png")) as image:
        assert image.size == (400, 300)


@pytest.mark.parametrize("source_name", ["cut.webp", "cut.heic"])
def test_a_truncated_picture_fails(tmp_path: Path, convert: Converter, source_name: str) -> None:
    source = tmp_path / source_name
    draw_photo(source, size=(400, 300))
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(TaskFailedError, match=rf"^{source_name}: .*(truncated|damaged)"):
        convert(source, "png")
    assert not (tmp_path / "output" / "converted.png").exists()


def test_an_empty_file_fails(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "photo.jpg"
    source.touch()
    with pytest.raises(TaskFailedError, match=r"^photo\.jpg: the file is empty$"):
        convert(source, "png")


def test_a_missing_file_fails(tmp_path: Path, convert: Converter) -> None:
    with pytest.raises(TaskFailedError, match=r"^gone\.jpg: cannot be read: "):
        convert(tmp_path / "gone.jpg", "png")


def test_text_named_jpg_fails(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "notes.jpg"
    source.write_text("Buy milk. Grüße! " * 100, encoding="utf-8")
    with pytest.raises(TaskFailedError, match=r"^notes\.jpg: not an image in a supported format \(text\)$"):
        convert(source, "png")


def test_a_video_is_no_picture(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "clip.jpg"
    draw_video(tmp_path / "clip.mp4", seconds=0.2, size=(64, 48))
    (tmp_path / "clip.mp4").rename(source)
    with pytest.raises(TaskFailedError, match=r"^clip\.jpg: not an image in a supported format \(a video\)$"):
        convert(source, "png")


def test_a_decompression_bomb_fails_before_it_is_decoded(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "bomb.png"
    chunks = (b"IHDR", struct.pack(">IIBBBBB", 40_000, 20_000, 1, 0, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")
    source.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    with pytest.raises(
        TaskFailedError, match=r"^bomb\.png: the image is larger than the limit of 500,000,000"
    ):
        convert(source, "png")
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS < 500_000_000, "Pillow's own setting is not put back"


def test_a_side_too_long_for_the_format_fails(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "strip.png"
    Image.new("L", (20_000, 2)).save(source)
    with pytest.raises(TaskFailedError, match=r"^strip\.png: a WEBP cannot have 20000 x 2 pixels"):
        convert(source, "webp")


@pytest.mark.parametrize(
    "source_name", ["photo.jpg", "photo.png", "photo.gif", "photo.webp", "photo.tiff", "photo.heic"]
)
def test_damage_anywhere_fails_clearly_or_not_at_all(
    tmp_path: Path, convert: Converter, source_name: str
) -> None:
    source = tmp_path / source_name
    draw_photo(source, size=(48, 36))
    whole = source.read_bytes()
    step = max(1, len(whole) // 40)
    failures = 0
    for position in range(0, len(whole), step):
        source.write_bytes(whole[:position] + b"\xff\x00\xff" + whole[position + 3 :])
        try:
            convert(source, "png")
        except TaskFailedError as exc:
            failures += 1
            assert str(exc).startswith(f"{source_name}: ")  # noqa: PT017 - damage may also go unseen
            assert str(tmp_path) not in str(exc)  # noqa: PT017 - alike
    assert failures
