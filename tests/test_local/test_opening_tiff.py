"""TIFFs that begin with a preview: the full picture is opened, with the tags of the first directory."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image, TiffImagePlugin

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.images.opening import is_picture, open_picture
from cl_client.local.tasks.images.orientation import upright
from pictures import RED, assert_corners, corners_picture
from raw_files import Part, longs, shorts, tiff
from tiff_files import Directory, write_tiff

if TYPE_CHECKING:
    from pathlib import Path

SMALL, LARGE = (16, 12), (96, 72)
ORIENTATION, MAKE = 274, 271


def opened(file: Path) -> tuple[Image.Image, list[str]]:
    warnings: list[str] = []
    with open_picture(file, warnings.append) as image:
        image.load()
        return upright(image), warnings


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("below", [False, True])
def test_the_full_picture_after_a_preview(tmp_path: Path, order: str, *, big: bool, below: bool) -> None:
    file = tmp_path / "scan.tif"
    full = Directory(LARGE, grey=200)
    chain = [Directory(SMALL, subfile_type=1, children=[full] if below else [])] + [full] * (not below)
    write_tiff(file, chain, order=order, big=big)
    image, warnings = opened(file)
    assert (image.size, image.getextrema()) == (LARGE, (200, 200))
    assert not warnings
    assert is_picture(file)


def test_the_first_directory_turns_a_picture_below_it(tmp_path: Path) -> None:
    file = tmp_path / "turned.dng"
    preview = Directory(SMALL, subfile_type=1, children=[Directory(LARGE)], tags={ORIENTATION: (6,)})
    write_tiff(file, [preview])
    with open_picture(file, pytest.fail) as image:
        assert image.size == (72, 96)
        assert upright(image).size == (72, 96)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_a_compressed_picture_after_its_preview(tmp_path: Path, compression: str) -> None:
    file = tmp_path / "scan.tif"
    preview, photo = corners_picture((24, 16)), corners_picture((240, 160))
    content = BytesIO()  # Pillow closes the writer of a file twice, which Python 3.13 reports.
    with TiffImagePlugin.AppendingTiffWriter(content, new=True) as writer:
        preview.save(writer, format="TIFF", tiffinfo={254: 1, MAKE: "Example"})
        writer.newFrame()
        photo.save(writer, format="TIFF", compression=compression)
        writer.newFrame()
    file.write_bytes(content.getvalue())
    with open_picture(file, pytest.fail) as image:
        assert image.size == (240, 160)
        assert image.getexif()[MAKE] == "Example"
        assert_corners(image.convert("RGB"))


def test_pages_after_the_first_picture_stay(tmp_path: Path) -> None:
    file = tmp_path / "pages.tif"
    page = Directory((40, 30), subfile_type=2)
    write_tiff(file, [Directory(SMALL, subfile_type=1, children=[Directory(LARGE)]), page, page])
    with open_picture(file, pytest.fail) as image:
        assert getattr(image, "n_frames", None) == 3
        image.seek(2)
        assert image.size == (40, 30)


@pytest.mark.parametrize("preview", [Directory(SMALL, subfile_type=1), Directory(SMALL, old_subfile_type=2)])
def test_a_preview_alone_is_opened_with_a_warning(tmp_path: Path, preview: Directory) -> None:
    file = tmp_path / "preview.tif"
    write_tiff(file, [preview])
    image, warnings = opened(file)
    assert image.size == SMALL
    assert warnings == ["the file has only a reduced picture, of 16 x 12 pixels"]


def test_a_damaged_picture_after_the_preview_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cut.tif"
    full = Directory(LARGE, tags={258: (7,)})
    write_tiff(file, [Directory(SMALL, subfile_type=1, children=[full])])
    with pytest.raises(TaskFailedError, match=r"^cut\.tif: "), open_picture(file, pytest.fail) as image:
        image.load()


@pytest.mark.parametrize("compression", ["raw", "tiff_adobe_deflate"])
def test_grey_of_16_bits_whose_white_is_zero(tmp_path: Path, compression: str) -> None:
    file = tmp_path / "x-ray.tif"
    picture = Image.new("I;16", (40, 30), 1000)
    picture.save(file, compression=compression, tiffinfo={262: 0})
    with Image.open(file) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        assert image.tag_v2.get(262) == 0, "Pillow has written another kind"
    image, warnings = opened(file)
    assert image.getextrema() == (64_535, 64_535)
    assert not warnings


def test_16_bits_in_separate_planes(tmp_path: Path) -> None:
    file = tmp_path / "scan.tif"
    width, height = 16, 12
    data = b"".join(struct.pack("<H", value * 257) * (width * height) for value in RED)
    tags = {
        256: longs(width), 257: longs(height), 258: shorts(16, 16, 16), 259: shorts(1), 262: shorts(2),
        277: shorts(3), 278: longs(height), 284: shorts(2),
    }  # fmt: skip
    file.write_bytes(tiff(Part(data, tags, strips=3)))
    image, warnings = opened(file)
    assert image.size == (width, height)
    assert image.getextrema() == tuple((value, value) for value in RED)
    assert not warnings
    assert not TiffImagePlugin.READ_LIBTIFF
