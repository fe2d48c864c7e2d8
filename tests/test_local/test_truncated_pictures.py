"""Pictures whose end is missing: shown as far as they go, with a warning."""

from __future__ import annotations

import gc
import io
from typing import TYPE_CHECKING
from weakref import ref

import pytest
from PIL import Image, ImageFile

from cl_client.local.samples import camera_exif
from cl_client.local.tasks import media_thumbnail
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.faces.picture import read_picture
from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.images.orientation import upright
from cl_client.plugins.media_thumbnail import MediaThumbnailParams
from pictures import BLUE, GREEN, RED, assert_close, corners_picture, pixel, without_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZE = (320, 240)
GREY, BLACK = (128, 128, 128), (0, 0, 0)


def noisy_corners() -> Image.Image:
    """With grain, so that all rows take about as many bytes."""
    return Image.blend(corners_picture(SIZE), Image.effect_noise(SIZE, 60).convert("RGB"), 0.1)


def write_cut(file: Path, part: float, image_format: str, **options: object) -> None:
    """Write this part of a picture's file."""
    content = io.BytesIO()
    noisy_corners().save(content, image_format, **options)
    file.write_bytes(content.getvalue()[: int(len(content.getvalue()) * part)])


def shown(file: Path) -> tuple[Image.Image, list[str]]:
    warnings: list[str] = []
    with open_picture(file, warnings.append) as image:
        return upright(image).convert("RGB"), warnings


def missing_percent(warnings: Sequence[str]) -> int:
    (warning,) = warnings
    start, _, percent = warning.removesuffix(" % of its rows are missing").rpartition(" ")
    assert start == "the file is truncated: about"
    return int(percent)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_small_thumbnail_says_what_the_picture_says(tmp_path: Path, part: float, subsampling: int) -> None:
    """It is decoded at a fraction of the size."""
    file = tmp_path / "cut.jpg"
    write_cut(file, part, "JPEG", subsampling=subsampling)
    _, warnings = shown(file)
    context = TaskContext(
        MediaThumbnailParams(width=40), file, tmp_path / "small.jpg", tmp_path, lambda _: None
    )
    media_thumbnail.run(context)
    assert abs(missing_percent(context.warnings) - missing_percent(warnings)) <= 1


@pytest.mark.parametrize("options", [{}, {"transparency": 255}], ids=["opaque", "transparent"])
@pytest.mark.parametrize("interlace", [0, 1])
def test_a_gif_keeps_its_colours(tmp_path: Path, options: dict[str, object], interlace: int) -> None:
    """Pillow has used the palette when it finds that the end is missing."""
    file = tmp_path / "cut.gif"
    write_cut(file, 0.6, "GIF", interlace=interlace, **options)
    image, warnings = shown(file)
    assert image.size == SIZE
    assert_close(pixel(image, 0.2, 0.2), RED, 60)
    assert_close(pixel(image, 0.8, 0.2), GREEN, 60)
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("image_format", "filling"), [("JPEG", GREY), ("PNG", BLACK), ("TIFF", BLACK), ("PPM", BLACK)]
)
def test_the_upper_part_is_shown(tmp_path: Path, image_format: str, filling: tuple[int, ...]) -> None:
    file = tmp_path / "cut"
    write_cut(file, 0.6, image_format)
    image, warnings = shown(file)
    assert image.size == SIZE
    assert_close(pixel(image, 0.2, 0.2), RED, 60)
    assert_close(pixel(image, 0.8, 0.2), GREEN, 60)
    assert pixel(image, 0.5, 1) == filling
    assert 33 <= missing_percent(warnings) <= 47


def test_a_bmp_lacks_its_upper_part(tmp_path: Path) -> None:
    file = tmp_path / "cut.bmp"
    write_cut(file, 0.6, "BMP")
    image, warnings = shown(file)
    assert pixel(image, 0.5, 0) == BLACK
    assert_close(pixel(image, 0.2, 0.9), BLUE, 60)
    assert warnings == ["the file is truncated: about 40 % of its rows are missing"]


@pytest.mark.parametrize("missing", [1, 2, 20])
def test_a_jpeg_without_its_last_bytes(tmp_path: Path, missing: int) -> None:
    file = tmp_path / "cut.jpg"
    noisy_corners().save(file)
    with Image.open(file) as image:
        whole = image.convert("RGB")
    file.write_bytes(file.read_bytes()[:-missing])
    image, warnings = shown(file)
    assert image.crop((0, 0, 320, 220)).tobytes() == whole.crop((0, 0, 320, 220)).tobytes()
    assert warnings == ["the file is truncated: its last bytes are missing"]


def test_a_progressive_jpeg_is_shown_with_less_detail(tmp_path: Path) -> None:
    file = tmp_path / "cut.jpg"
    write_cut(file, 0.5, "JPEG", progressive=True)
    image, warnings = shown(file)
    assert_close(pixel(image, 0.2, 0.9), BLUE, 60)
    assert warnings == ["the file is truncated: its last bytes are missing"]


def test_a_cut_jpeg_is_turned_upright(tmp_path: Path) -> None:
    file = tmp_path / "cut.jpg"
    write_cut(file, 0.5, "JPEG", exif=camera_exif(3))
    image, _ = shown(file)
    assert pixel(image, 0.5, 0) == GREY
    assert_close(pixel(image, 0.8, 0.9), RED, 60)


def test_a_thumbnail_of_a_cut_jpeg(tmp_path: Path) -> None:
    file = tmp_path / "cut.jpg"
    write_cut(file, 0.5, "JPEG")
    context = TaskContext(
        MediaThumbnailParams(width=40, height=30), file, tmp_path / "t.jpg", tmp_path, print
    )
    assert media_thumbnail.run(context) == {"media_type": "image"}
    assert len(context.warnings) == 1
    with Image.open(context.output_file) as image:
        assert image.size == (40, 30)
        assert_close(pixel(image, 0.2, 0.2), RED, 60)
        assert_close(pixel(image, 0.5, 1), GREY)


def test_faces_are_looked_for_in_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "cut.png"
    write_cut(file, 0.7, "PNG")
    warnings: list[str] = []
    assert read_picture(file, warnings.append).size == SIZE
    assert warnings == ["the file is truncated: about 31 % of its rows are missing"]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_file_with_a_header_alone_fails(tmp_path: Path, image_format: str) -> None:
    file = tmp_path / "cut"
    write_cut(file, 1, image_format)
    file.write_bytes(without_pixels(file.read_bytes()))
    with pytest.raises(TaskFailedError, match=r"^cut: the image is truncated \("):
        _ = shown(file)


@pytest.mark.parametrize("image_format", ["WEBP", "HEIF", "JPEG2000"])
def test_formats_of_which_nothing_can_be_shown(tmp_path: Path, image_format: str) -> None:
    file = tmp_path / "cut"
    write_cut(file, 0.6, image_format)
    with pytest.raises(TaskFailedError, match=r"^cut: the image is (truncated|damaged) \("):
        _ = shown(file)


def test_a_damaged_file_is_not_taken_for_a_truncated_one(tmp_path: Path) -> None:
    file = tmp_path / "damaged.png"
    write_cut(file, 1, "PNG")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(TaskFailedError, match=r"^damaged\.png: the image is damaged \("):
        _ = shown(file)


def test_nothing_stays_behind(tmp_path: Path) -> None:
    file = tmp_path / "cut.jpg"
    write_cut(file, 0.5, "JPEG")
    gc.disable()
    try:
        with open_picture(file, lambda _: None) as image:
            image.load()
            alive = ref(image)
        del image
        assert alive() is None, "the pixels are kept until the next collection"
    finally:
        gc.enable()
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
