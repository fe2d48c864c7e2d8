"""Camera raw files: their preview where it is large enough, otherwise developed, or refused by their name."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageOps

from cl_client.local.tasks import media_thumbnail
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.conversion import image_conversion
from cl_client.local.tasks.faces.picture import read_picture
from cl_client.local.tasks.images.opening import is_picture, open_picture
from cl_client.local.tasks.images.orientation import upright, upright_size
from cl_client.local.tasks.media_types import detect_media_type
from cl_client.plugins.image_conversion import ImageConversionParams
from cl_client.plugins.media_thumbnail import MediaThumbnailParams
from pictures import ORIENTATIONS, STORED_AS, assert_close, assert_corners, corners_picture, pixel
from raw_files import write_dng

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.samples import Orientation

SIZE, HALF = (240, 160), (120, 80)
PREVIEW_COLOUR = (200, 0, 200)
TAGGED = b"II*\0\x10\0\0\0"


def thumbnail(file: Path, side: int) -> Image.Image:
    params = MediaThumbnailParams(width=side, height=side)
    context = TaskContext(params, file, file.with_name("thumbnail.jpg"), file.parent, print)
    assert media_thumbnail.run(context) == {"media_type": "image"}
    assert not context.warnings
    with Image.open(context.output_file) as image:
        image.load()
    return image


def converted(file: Path) -> Image.Image:
    params = ImageConversionParams(format="png")
    context = TaskContext(params, file, file.with_name("converted.png"), file.parent, print)
    assert image_conversion.run(context) == {"dropped": ["raw data"]}
    assert not context.warnings
    with Image.open(context.output_file) as image:
        image.load()
    return image


def assert_preview(image: Image.Image) -> None:
    assert_close(pixel(image, 0.5, 0.5), PREVIEW_COLOUR, 20)


def assert_developed(image: Image.Image) -> None:
    for x, y, channel in ((0.2, 0.2, 0), (0.8, 0.2, 1), (0.2, 0.8, 2)):
        colour = pixel(image, x, y)
        assert colour[channel] == max(colour) > 180, colour
        assert sorted(colour)[1] < 90, colour


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_raw_file_without_preview_is_developed(tmp_path: Path, orientation: Orientation) -> None:
    file = tmp_path / "photo.dng"
    stored = corners_picture(SIZE)
    if orientation != 1:
        stored = stored.transpose(STORED_AS[orientation])
    write_dng(file, stored, orientation=orientation)
    with open_picture(file, pytest.fail) as image:
        assert upright_size(image) == SIZE
        picture = upright(image).convert("RGB")
    assert picture.size == SIZE
    assert_developed(picture)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("own", [False, True])
def test_a_full_size_preview_is_the_picture(tmp_path: Path, orientation: Orientation, *, own: bool) -> None:
    file = tmp_path / "photo.dng"
    stored = corners_picture(SIZE)
    if orientation != 1:
        stored = stored.transpose(STORED_AS[orientation])
    preview = stored.copy()
    if own:
        preview.getexif()[274] = orientation
    write_dng(file, Image.new("RGB", stored.size, PREVIEW_COLOUR), orientation=orientation, preview=preview)
    image = converted(file)
    assert image.size == SIZE
    assert_corners(image)
    image = thumbnail(file, 60)
    assert image.size == (60, 40)
    assert_corners(image)


def test_a_smaller_preview_is_enough_for_a_thumbnail(tmp_path: Path) -> None:
    file = tmp_path / "photo.dng"
    write_dng(file, corners_picture(SIZE), preview=Image.new("RGB", HALF, PREVIEW_COLOUR))
    assert_preview(thumbnail(file, 120))
    image = thumbnail(file, 124)
    assert image.size == (124, 83)
    assert_developed(image)
    assert_developed(converted(file))


def test_a_preview_of_another_shape_is_not_the_picture(tmp_path: Path) -> None:
    file = tmp_path / "photo.dng"
    write_dng(file, corners_picture(SIZE), preview=Image.new("RGB", (240, 180), PREVIEW_COLOUR))
    assert_developed(thumbnail(file, 60))
    assert_developed(converted(file))


def test_faces_are_looked_for_in_the_developed_picture(tmp_path: Path) -> None:
    file = tmp_path / "photo.dng"
    write_dng(file, corners_picture(SIZE))
    picture = read_picture(file, pytest.fail)
    assert picture.size == SIZE
    assert picture.pixels.shape == (160, 240, 3)


def test_the_camera_is_kept_in_a_converted_picture(tmp_path: Path) -> None:
    file = tmp_path / "photo.dng"
    write_dng(file, corners_picture(SIZE), orientation=6)
    exif = converted(file).getexif()
    assert (exif.get(271), exif.get(274)) == ("Example", None)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"FUJIFILMCCD-RAW 0201FF393101", "Fujifilm RAF"),
        (b"IIRO\x08\0\0\0", "Olympus ORF"),
        (b"IIU\0\x18\0\0\0", "Panasonic RW2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "Canon CR3"),
        (b"II*\0\x10\0\0\0CR\x02\0", "Canon CR2"),
        (b"II\x1a\0\0\0HEAPCCDR", "Canon CRW"),
        (b"FOVb\0\0\x02\0", "Sigma X3F"),
        (b"\0MRM\0\0\0\0", "Minolta MRW"),
    ],
)
def test_other_raw_files_are_told_by_their_names(tmp_path: Path, start: bytes, kind: str) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(start.ljust(2000, b"\0"))
    assert detect_media_type(file) == "image"
    with (
        pytest.raises(
            TaskFailedError, match=rf"^photo\.jpg: RAW \({kind}\): LibRaw [\d.]+ cannot decode it \("
        ),
        open_picture(file, pytest.fail),
    ):
        pass


@pytest.mark.parametrize(("make", "kind"), [("NIKON CORPORATION", "Nikon NEF"), ("Leaf", "Leaf")])
def test_raw_files_in_tiff_are_told_by_their_maker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: str, kind: str
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    file = tmp_path / "photo.nef"
    write_dng(file, corners_picture(SIZE), make=make, dng=False)
    with (
        pytest.raises(
            TaskFailedError, match=rf"^photo\.nef: RAW \({kind}\) needs rawpy .*: install cl_client\[raw\]"
        ),
        open_picture(file, pytest.fail) as image,
    ):
        image.load()


@pytest.mark.parametrize("installed", [True, False])
def test_what_cannot_be_decoded_has_its_size_and_exif(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "rawpy", None)
    file = tmp_path / "photo.dng"
    write_dng(file, corners_picture(SIZE), compression=99)
    assert is_picture(file)
    with open_picture(file, pytest.fail) as image:
        assert image.size == SIZE
        assert image.getexif()[271] == "Example"
        with pytest.raises(TaskFailedError, match=r"^photo\.dng: RAW \(DNG\)"):
            image.load()


def test_a_truncated_raw_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "photo.dng"
    write_dng(file, ImageOps.flip(corners_picture(SIZE)))
    content = file.read_bytes()
    file.write_bytes(content[: struct.unpack("<I", content[4:8])[0] - 20_000])
    with pytest.raises(TaskFailedError, match=r"^photo\.dng: "), open_picture(file, pytest.fail) as image:
        image.load()
