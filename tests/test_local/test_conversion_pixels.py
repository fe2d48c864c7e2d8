"""Depth, transparency, colours and compression of converted images, and errors of writing."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageSequence, TiffImagePlugin
from pydantic import TypeAdapter

from cl_client.local.tasks.contract import TaskFailedError
from described_pictures import exif_block
from pictures import BLUE, GREEN, RED, assert_close, corners_picture, pixel
from small_disks import small_disk

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client._core.choices import ImageFormat
    from conversions import Converter

INTEGER = TypeAdapter(int)


# --- transparency of GIF ---


def soft_disc() -> Image.Image:
    mask = Image.new("L", (120, 120), 0)
    ImageDraw.Draw(mask).ellipse((20, 20, 100, 100), fill=255)
    picture = Image.new("RGB", (120, 120), GREEN)
    picture.paste(RED, (60, 0, 120, 120))
    picture.putalpha(mask.filter(ImageFilter.GaussianBlur(5)))
    return picture


def test_soft_edges_become_transparent_from_a_half_on(tmp_path: Path, convert: Converter) -> None:
    picture = soft_disc()
    source = tmp_path / "sticker.png"
    picture.save(source)
    with Image.open(convert(source, "gif")) as image:
        found = image.convert("RGBA")
    expected = picture.getchannel("A").point([0] * 128 + [255] * 128)
    assert found.getchannel("A").tobytes() == expected.tobytes()
    colours = {colour for _, colour in found.getcolors() or ()}
    assert {(*RED, 255), (*GREEN, 255)} <= colours
    assert len(colours) == 3, "no edges in other colours"
    assert convert.dropped == ("partial transparency",)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_shadow_over_the_whole_picture(tmp_path: Path, convert: Converter, mode: str) -> None:
    picture = Image.new("RGBA", (80, 80), (0, 0, 0, 1))
    ImageDraw.Draw(picture).rectangle((20, 20, 70, 70), fill=(0, 0, 0, 100))
    ImageDraw.Draw(picture).rectangle((30, 30, 50, 50), fill=(200, 200, 200, 255))
    source = tmp_path / "logo.png"
    picture.convert(mode).save(source)
    with Image.open(convert(source, "gif")) as image:
        assert pixel(image, 0, 0, "RGBA")[3] == 0
        assert pixel(image, 0.75, 0.75, "RGBA")[3] == 0
        assert_close(pixel(image, 0.5, 0.5, "RGBA"), (200, 200, 200, 255), 3)


def test_a_wholly_transparent_picture(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "nothing.png"
    Image.new("RGBA", (20, 20), (90, 90, 90, 0)).save(source)
    with Image.open(convert(source, "gif")) as image:
        assert image.convert("RGBA").getchannel("A").getextrema() == (0, 0)


def test_a_gif_stays_as_it_is(tmp_path: Path, convert: Converter) -> None:
    picture = Image.new("P", (16, 16))
    picture.putpalette([value for index in range(256) for value in (index, 255 - index, index // 2)])
    picture.putdata(list(range(256)))
    source = tmp_path / "old.gif"
    picture.save(source, transparency=7)
    with Image.open(source) as before, Image.open(convert(source, "gif")) as after:
        expected, found = np.asarray(before.convert("RGBA")), np.asarray(after.convert("RGBA"))
    assert np.array_equal(expected[..., 3], found[..., 3])
    assert np.array_equal(expected[expected[..., 3] == 255], found[found[..., 3] == 255])
    assert convert.dropped == ()


def test_a_still_of_many_colours_is_dithered(tmp_path: Path, convert: Converter) -> None:
    ramp = Image.linear_gradient("L")
    sky = Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180)))
    source = tmp_path / "sky.png"
    sky.save(source)
    with Image.open(convert(source, "gif")) as image:
        shown = image.convert("RGB").filter(ImageFilter.GaussianBlur(3))
    expected = sky.filter(ImageFilter.GaussianBlur(3))
    difference = np.abs(np.asarray(shown).astype(int) - np.asarray(expected))[5:-5, 5:-5]
    assert difference.mean() < 1.2
    assert convert.dropped == ("colours",)


def test_flat_areas_beside_a_photo_stay_flat(tmp_path: Path, convert: Converter) -> None:
    page = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(page).rectangle((20, 20, 120, 120), fill=(0, 120, 215))
    ramp = Image.linear_gradient("L")
    page.paste(Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180))), (140, 20))
    source = tmp_path / "page.png"
    page.save(source)
    with Image.open(convert(source, "gif")) as image:
        shown = image.convert("RGB")
    assert shown.crop((0, 130, 130, 300)).getcolors() == [(130 * 170, (255, 255, 255))]
    assert shown.crop((20, 20, 121, 121)).getcolors() == [(101 * 101, (0, 120, 215))]


@pytest.mark.parametrize("target", ["jpg", "bmp"])
def test_an_alpha_channel_that_hides_nothing_is_no_loss(
    tmp_path: Path, convert: Converter, target: ImageFormat
) -> None:
    source = tmp_path / "window.png"
    Image.new("RGBA", (20, 20), (*RED, 255)).save(source)
    convert(source, target)
    assert convert.dropped == ()
    Image.new("RGBA", (20, 20), (*RED, 254)).save(source)
    convert(source, target)
    assert convert.dropped == ("transparency",)


# --- compression of TIFF ---


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        ("1", "group3"), ("1", "group4"), ("1", "packbits"), ("L", "tiff_lzw"), ("L", "packbits"),
        ("LA", "tiff_lzw"), ("RGB", "raw"), ("RGB", "tiff_lzw"), ("RGB", "tiff_adobe_deflate"),
        ("RGB", "jpeg"),
        ("RGBA", "tiff_deflate"), ("CMYK", "tiff_lzw"), ("P", "tiff_lzw"), ("I;16", "tiff_adobe_deflate"),
        ("F", "tiff_lzw"), ("RGB", "zstd"), ("RGB", "lzma"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pages", [1, 3])
def test_a_tiff_of_any_compression_becomes_a_compressed_one_with_exif(
    tmp_path: Path, convert: Converter, mode: str, compression: str, pages: int
) -> None:
    source, sheets = tmp_path / "scan.tiff", [drawn(mode, index) for index in range(pages)]
    sheets[0].save(source, compression=compression, save_all=True, append_images=sheets[1:])
    add_exif(source)
    result = convert(source, "tiff")
    with Image.open(source) as before, Image.open(result) as after:
        exif = after.getexif()
        assert exif[0x010F] == "Fotowerk"
        assert exif.get_ifd(0x8769)[0x9003] == "2024:05:01 10:20:30"
        for old, new in zip(ImageSequence.Iterator(before), ImageSequence.Iterator(after), strict=True):
            assert new.info["compression"] == ("group4" if mode == "1" else "tiff_lzw")
            assert new.mode == old.mode
            assert new.tobytes() == old.tobytes()
    assert convert.dropped == ()


def drawn(mode: str, index: int) -> Image.Image:
    picture = corners_picture((64 + index, 48))
    if mode in {"I;16", "F"}:
        values = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(values if mode == "I;16" else values / np.float32(7))
    return picture.convert(mode)


def add_exif(path: Path) -> None:
    """Put EXIF into the first page of a TIFF, whatever compresses its pixels."""
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[start : start + 2], "little")
    end = start + 2 + 12 * count
    entries = [bytes(content[at : at + 12]) for at in range(start + 2, end, 12)]
    following = bytes(content[end : end + 4])
    content += bytes(len(content) % 2)
    date, make = len(content), len(content) + 20
    content += b"2024:05:01 10:20:30\0" + b"Fotowerk\0\0"
    details = len(content)
    content += struct.pack("<HHHIII", 1, 0x9003, 2, 20, date, 0)
    entries += [struct.pack("<HHII", 0x010F, 2, 9, make), struct.pack("<HHII", 0x8769, 4, 1, details)]
    content[4:8] = len(content).to_bytes(4, "little")
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    content += struct.pack("<H", len(entries)) + b"".join(entries) + following
    path.write_bytes(content)


def test_previews_and_smaller_levels_are_no_pages(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "pyramid.tiff"
    level = corners_picture((24, 16))
    level.encoderinfo = {"tiffinfo": {254: 1}}
    corners_picture().save(source, save_all=True, append_images=[level])
    with Image.open(source) as image:
        assert getattr(image, "n_frames", 1) == 2
    with Image.open(convert(source, "tiff")) as image:
        assert image.size == (96, 64)
        assert getattr(image, "n_frames", 1) == 1
    convert(source, "png")
    assert "pages" not in convert.dropped


# --- depth ---


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("target", ["png", "tiff", "jpg", "gif"])
def test_grey_of_16_bits_in_either_byte_order(
    tmp_path: Path, convert: Converter, order: str, target: ImageFormat
) -> None:
    deep = target in {"png", "tiff"}
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (8, 1))
    source = tmp_path / "xray.tiff"
    write_deep_tiff(source, (256, 8), 1, ramp.astype(f"{order}u2").tobytes(), order)
    with Image.open(convert(source, target)) as image:
        values = np.asarray(image.convert("I") if deep else image.convert("L")).astype(int)
    assert np.abs(values - (ramp if deep else ramp // 257)).max() <= (0 if deep else 2)
    assert ("bit depth" in convert.dropped) == (not deep)


def write_deep_tiff(path: Path, size: tuple[int, int], channels: int, data: bytes, order: str) -> None:
    width, height = size
    bits_at = 8 + len(data)
    fields = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits_at), (259, 3, 1, 1),
        (262, 3, 1, 1 if channels == 1 else 2), (273, 4, 1, 8), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    content = bytearray({"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, bits_at + 8) + data)
    content += struct.pack(order + "4H", 16, 16, 16, 0) + struct.pack(order + "H", len(fields))
    for tag, kind, count, value in fields:
        number = 16 if (tag, count) == (258, 1) else value
        layout = "HHIHxx" if kind == 3 and count == 1 else "HHII"
        content += struct.pack(order + layout, tag, kind, count, number)
    path.write_bytes(content + bytes(4))


@pytest.mark.parametrize("order", ["<", ">"])
def test_colour_of_16_bits_is_said_to_lose_depth(tmp_path: Path, convert: Converter, order: str) -> None:
    red = struct.pack(f"{order}3H", *(channel * 257 for channel in RED))
    source = tmp_path / "film.tiff"
    write_deep_tiff(source, (8, 8), 3, red * 64, order)
    with Image.open(convert(source, "tiff")) as image:
        assert_close(pixel(image, 0.5, 0.5), RED)
    assert convert.dropped == ("bit depth",)


def test_a_png_of_16_bit_colour_is_said_to_lose_depth(tmp_path: Path, convert: Converter) -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 220 * 257, 7710, 7710) * 4 for _ in range(4))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    source = tmp_path / "film.png"
    source.write_bytes(content)
    with Image.open(convert(source, "png")) as image:
        assert_close(pixel(image, 0.5, 0.5), RED, 2)
    assert convert.dropped == ("bit depth",)


def test_a_heic_of_10_bits_is_said_to_lose_depth(tmp_path: Path, convert: Converter) -> None:
    pillow_heif.register_heif_opener()
    source = tmp_path / "scan.heic"
    Image.new("I;16", (64, 64), 700 << 6).save(source)
    with Image.open(source) as image:
        assert TypeAdapter(int).validate_python(image.info["bit_depth"]) > 8
    convert(source, "jpg")
    assert convert.dropped == ("bit depth",)


# --- colours ---


def swapped_profile() -> bytes:
    """A profile in which red and blue are swapped, which nobody can overlook."""
    srgb = ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - Pillow leaves its return type out
    ).tobytes()
    return srgb.replace(b"rXYZ", b"swap").replace(b"bXYZ", b"rXYZ").replace(b"swap", b"bXYZ")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("target", ["gif", "bmp", "png", "webp"])
def test_without_a_profile_colours_are_converted(
    tmp_path: Path, convert: Converter, target: ImageFormat, mode: str
) -> None:
    source = tmp_path / "print.png"
    picture = Image.new("RGB", (20, 20), RED).convert(mode, palette=Image.Palette.ADAPTIVE)
    picture.save(source, icc_profile=swapped_profile())
    with Image.open(convert(source, target)) as image:
        shown = (RED[2], RED[1], RED[0]) if target in {"gif", "bmp"} else RED
        assert_close(pixel(image, 0.5, 0.5), shown, 24)
    assert convert.dropped == (("ICC profile",) if target in {"gif", "bmp"} else ())


def test_each_page_of_a_tiff_keeps_its_own_profile(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "scan.tiff"
    pages = [Image.new("RGB", (20, 20), RED), Image.new("L", (20, 20), 90), Image.new("RGB", (9, 9))]
    pages[0].info["icc_profile"] = swapped_profile()
    pages[0].save(source, save_all=True, append_images=pages[1:])
    with Image.open(convert(source, "tiff")) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        assert image.tag_v2[34675] == swapped_profile()
        image.seek(1)
        assert 34675 not in image.tag_v2
        image.seek(2)
        assert 34675 not in image.tag_v2


# --- errors of writing ---


@pytest.mark.parametrize("target", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_a_full_disk_is_not_called_damage(tmp_path: Path, convert: Converter, target: ImageFormat) -> None:
    source = tmp_path / "photo.png"
    noise = np.random.default_rng(7).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(source)
    (tmp_path / "output").mkdir()
    with (
        small_disk(tmp_path / "output", "16k"),
        pytest.raises(TaskFailedError, match=r"^photo\.png: .*cannot be written.*disk") as failure,
    ):
        convert(source, target)
    assert "damaged" not in str(failure.value)
    assert "truncated" not in str(failure.value)


def test_a_comment_that_is_too_long_for_a_jpeg(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "old.gif"
    corners_picture().save(source, comment=b"x" * 70_000)
    convert(source, "jpg")
    assert convert.dropped == ("comment",)


def test_exif_of_a_tiff_in_the_other_byte_order(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, exif=b"Exif\0\0" + exif_block(">"))
    with Image.open(convert(source, "tiff")) as image:
        assert INTEGER.validate_python(image.getexif()[0x4746]) == 4
        assert image.getexif().get_ifd(0x8825)[2] == (45, 58, 35)
    assert_close((BLUE[2],), (220,))
