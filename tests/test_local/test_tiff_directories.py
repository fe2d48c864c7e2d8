"""Which directory of a TIFF is the full picture."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from cl_client.local.tasks.formats.tiff_directories import full_size_directory, tiff_directories
from tiff_files import Directory, write_tiff

if TYPE_CHECKING:
    from pathlib import Path

SMALL, LARGE = (16, 12), (96, 72)


def sizes(file: Path) -> list[tuple[int, int]]:
    return [(directory.width, directory.height) for directory in tiff_directories(file)]


def full_size(file: Path) -> tuple[int, int] | None:
    found = full_size_directory(tiff_directories(file))
    return (found.width, found.height) if found else None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_preview_before_the_full_picture(tmp_path: Path, order: str, *, big: bool) -> None:
    file = tmp_path / "raw.dng"
    full = Directory(LARGE, subfile_type=0)
    write_tiff(file, [Directory(SMALL, subfile_type=1, children=[full])], order=order, big=big)
    assert sizes(file) == [SMALL, LARGE]
    assert full_size(file) == LARGE
    found = full_size_directory(tiff_directories(file))
    assert found is not None
    assert found.frame is None


@pytest.mark.parametrize("subfile_type", [1, 4, 5, 8, 16, 0x10001, 65540])
def test_previews_and_masks_and_depth_maps_are_passed_over(tmp_path: Path, subfile_type: int) -> None:
    file = tmp_path / "pages.tif"
    write_tiff(file, [Directory(SMALL, subfile_type=subfile_type), Directory(LARGE, subfile_type=0)])
    assert full_size(file) == LARGE
    found = full_size_directory(tiff_directories(file))
    assert found is not None
    assert found.frame == 1


@pytest.mark.parametrize("subfile_type", [None, 0, 2])
def test_the_first_page_stays_the_picture(tmp_path: Path, subfile_type: int | None) -> None:
    file = tmp_path / "pages.tif"
    write_tiff(file, [Directory(SMALL, subfile_type=subfile_type), Directory(LARGE, subfile_type=2)])
    assert full_size(file) == SMALL


def test_the_older_mark_of_a_preview(tmp_path: Path) -> None:
    file = tmp_path / "scan.tif"
    write_tiff(file, [Directory(SMALL, old_subfile_type=2), Directory(LARGE, old_subfile_type=1)])
    assert full_size(file) == LARGE


def test_only_previews(tmp_path: Path) -> None:
    file = tmp_path / "preview.tif"
    write_tiff(file, [Directory(SMALL, subfile_type=1)])
    assert sizes(file) == [SMALL]
    assert full_size(file) is None


def test_pillow_agrees_on_the_frames(tmp_path: Path) -> None:
    file = tmp_path / "pages.tif"
    pages = [Image.new("L", (width, 8)) for width in (40, 30, 20)]
    pages[0].save(file, save_all=True, append_images=pages[1:])
    assert sizes(file) == [(40, 8), (30, 8), (20, 8)]
    assert [directory.frame for directory in tiff_directories(file)] == [0, 1, 2]
    with Image.open(file) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        assert image.n_frames == 3


def test_a_chain_that_is_a_circle_ends(tmp_path: Path) -> None:
    file = tmp_path / "circle.tif"
    write_tiff(file, [Directory(SMALL, subfile_type=1)])
    content = bytearray(file.read_bytes())
    (first,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[first : first + 2])
    end = first + 2 + 12 * count
    content[end : end + 4] = struct.pack("<I", first)
    file.write_bytes(content)
    assert sizes(file) == [SMALL]


@pytest.mark.parametrize("content", [b"", b"II", b"not a TIFF at all", b"II*\0" + b"\xff" * 12])
def test_other_files_have_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.tif"
    file.write_bytes(content)
    assert tiff_directories(file) == []
    assert full_size_directory(tiff_directories(file)) is None


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tiff") / "nested.tif"
    write_tiff(file, [Directory(SMALL, subfile_type=1, children=[Directory(LARGE), Directory(SMALL)])])
    return file


@given(position=st.integers(0, 200), value=st.binary(min_size=1, max_size=8), cut=st.integers(0, 400))
def test_damage_is_never_an_error(nested: Path, position: int, value: bytes, cut: int) -> None:
    content = bytearray(nested.read_bytes())
    content[position : position + len(value)] = value
    damaged = nested.with_name("damaged.tif")
    damaged.write_bytes(content[: len(content) - cut])
    assert len(tiff_directories(damaged)) <= 1000
