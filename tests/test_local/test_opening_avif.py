"""AVIF as early encoders wrote it, and colour spaces that are given by numbers alone."""

from __future__ import annotations

import io
import math
import struct
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from avif_files import avif, with_an_association_box_for_each_picture
from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.images.opening import is_picture, open_picture
from cl_client.local.tasks.images.orientation import upright
from pictures import GREEN, RED, assert_close, assert_corners, corners_picture, pixel

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (96, 64)
SRGB, P3, BT2020 = 1, 12, 9
PQ, HLG = 16, 18
P3_GREEN, GREEN_IN_SRGB = (0, 192, 64), (0, 197, 30)


def shown(file: Path) -> Image.Image:
    with open_picture(file, pytest.fail) as image:
        return upright(image).copy()


def half_transparent() -> Image.Image:
    image = corners_picture(SIZE).convert("RGBA")
    image.putalpha(Image.new("L", SIZE, 255))
    image.paste((0, 0, 0, 0), (48, 0, 96, 64))
    return image


def test_an_association_box_for_each_picture(tmp_path: Path) -> None:
    file = tmp_path / "alpha.avif"
    content = with_an_association_box_for_each_picture(avif(half_transparent()))
    with pytest.raises(OSError, match="cannot identify"), Image.open(io.BytesIO(content)):
        pass
    file.write_bytes(content)
    assert is_picture(file)
    image = shown(file)
    assert (image.size, image.mode) == (SIZE, "RGBA")
    assert_close(pixel(image, 0.2, 0.2, "RGBA"), (*RED, 255))
    assert pixel(image, 0.8, 0.2, "RGBA")[3] == 0


@pytest.mark.parametrize("cut", [250, 300, 350])
def test_a_damaged_one_fails(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "alpha.avif"
    file.write_bytes(with_an_association_box_for_each_picture(avif(half_transparent()))[:cut])
    with pytest.raises(TaskFailedError, match=r"^alpha\.avif: "):
        _ = shown(file)


def write_p3(file: Path) -> None:
    picture = Image.new("RGB", SIZE, P3_GREEN)
    if file.suffix == ".avif":
        file.write_bytes(avif(picture, primaries=P3))
    elif file.suffix == ".png":
        chunks = PngInfo()
        chunks.add(b"cICP", bytes([P3, 13, 0, 1]))
        picture.save(file, pnginfo=chunks)
    else:
        picture.save(file, color_primaries=P3, transfer_characteristics=13, quality=100)


@pytest.mark.parametrize("name", ["p3.avif", "p3.heic", "p3.png"])
def test_display_p3_by_number(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    write_p3(file)
    assert_close(pixel(shown(file), 0.5, 0.5), GREEN_IN_SRGB, 4)


def test_transparency_stays(tmp_path: Path) -> None:
    file = tmp_path / "p3.avif"
    picture = Image.new("RGBA", SIZE, (*P3_GREEN, 100))
    file.write_bytes(with_an_association_box_for_each_picture(avif(picture, primaries=P3)))
    image = shown(file)
    assert_close(pixel(image, 0.5, 0.5, "RGBA"), (*GREEN_IN_SRGB, 100), 4)


@pytest.mark.parametrize("primaries", [SRGB, 2, 5, 6])
def test_other_numbers_change_nothing(tmp_path: Path, primaries: int) -> None:
    file = tmp_path / "photo.avif"
    file.write_bytes(avif(corners_picture(SIZE), primaries=primaries))
    assert_corners(shown(file))


def test_an_icc_profile_prevails(tmp_path: Path) -> None:
    file = tmp_path / "photo.heic"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - Pillow leaves its type out
    Image.new("RGB", SIZE, GREEN).save(file, icc_profile=profile, color_primaries=P3, quality=100)
    assert_close(pixel(shown(file), 0.5, 0.5), GREEN, 4)


def pq(nits: float) -> int:
    """The number of this light in 8 bits (ITU-R BT.2100, table 4)."""
    power = math.pow(nits / 10_000, 2610 / 16384)
    return round(255 * math.pow((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32))


@pytest.mark.parametrize(("transfer", "white"), [(PQ, pq(203)), (HLG, round(0.75 * 255))])
def test_hdr_is_tone_mapped(tmp_path: Path, transfer: int, white: int) -> None:
    file = tmp_path / "hdr.avif"
    ramp = Image.merge("RGB", [Image.linear_gradient("L")] * 3)
    ramp.paste((white, white, white), (0, 0, 256, 32))
    file.write_bytes(avif(ramp, primaries=BT2020, transfer=transfer))
    image = shown(file)
    red, green, blue = pixel(image, 0.5, 0.02)
    assert max(red, green, blue) - min(red, green, blue) <= 3
    assert 170 <= red <= 245
    greys = [pixel(image, 0.5, y / 255)[0] for y in range(40, 256, 8)]
    assert greys == sorted(greys)


def test_frames_of_an_animation_are_converted_once_each(tmp_path: Path) -> None:
    file = tmp_path / "p3.avif"
    frames = [Image.new("RGB", SIZE, P3_GREEN), Image.new("RGB", SIZE, (0, 64, 192))]
    frames[0].save(
        file, save_all=True, append_images=frames[1:], duration=100, quality=100, subsampling="4:4:4"
    )
    content = bytearray(file.read_bytes())
    struct.pack_into(">H", content, content.index(b"colrnclx") + 8, P3)
    file.write_bytes(content)
    with open_picture(file, pytest.fail) as image:
        for _ in range(2):
            image.seek(0)
            assert_close(pixel(image, 0.5, 0.5), GREEN_IN_SRGB, 4)
            assert_close(pixel(image, 0.5, 0.5), GREEN_IN_SRGB, 4)
            image.seek(1)
            second = pixel(image, 0.5, 0.5)
            assert second == pixel(image, 0.5, 0.5)
            assert second[2] > 192
