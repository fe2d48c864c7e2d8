"""WebP decoded by libvips: the thumbnail is the one that Pillow makes, but for a few levels."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops, ImageStat

from cl_client.local.samples import draw_photo
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.images import webp_scaling
from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.images.webp_scaling import scaled_webp
from cl_client.local.tasks.media_thumbnail import run
from cl_client.plugins.media_thumbnail import MediaThumbnailParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = (1237, 831)
SIDE = 200


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    webp_scaling.is_installed.cache_clear()
    yield
    webp_scaling.is_installed.cache_clear()


def _photo(folder: Path) -> Image.Image:
    drawn = folder / "drawn.jpg"
    draw_photo(drawn, SIZE)
    with Image.open(drawn) as image:
        return image.convert("RGB")


def _thumbnail(file: Path) -> Image.Image:
    output = file.with_suffix(".jpg")
    context = TaskContext(MediaThumbnailParams(width=SIDE, height=SIDE), file, output, file.parent, print)
    assert run(context) == {"media_type": "image"}
    assert context.warnings == []
    with Image.open(output) as image:
        image.load()
        return image


def _is_scaled(file: Path) -> bool:
    with open_picture(file, print) as image:
        return scaled_webp(image, file, (2 * SIDE, 2 * SIDE)) is not None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("lossless", [False, True], ids=["lossy", "lossless"])
def test_the_thumbnail_is_that_of_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int, *, lossless: bool
) -> None:
    file = tmp_path / "photo.webp"
    exif = Image.Exif()
    exif[0x0112] = orientation
    _photo(tmp_path).save(
        file, exif=exif, lossless=lossless, icc_profile=b"\0" * 16 + b"RGB " + b"\0" * 112, method=0
    )
    assert _is_scaled(file)
    with_vips = _thumbnail(file)
    monkeypatch.setitem(sys.modules, "pyvips", None)
    webp_scaling.is_installed.cache_clear()
    assert not _is_scaled(file)
    with_pillow = _thumbnail(file)
    assert (with_vips.size, with_vips.mode) == (with_pillow.size, with_pillow.mode)
    assert with_vips.info.get("icc_profile") == with_pillow.info.get("icc_profile") is not None
    differences = ImageStat.Stat(ImageChops.difference(with_vips, with_pillow))
    assert max(differences.mean) < 2
    assert max(high for _, high in differences.extrema) < 16


@pytest.mark.parametrize("name", ["transparent", "animated", "small", "png"])
def test_others_are_left_to_pillow(tmp_path: Path, name: str) -> None:
    file = tmp_path / ("photo.png" if name == "png" else "photo.webp")
    picture = _photo(tmp_path)
    if name == "transparent":
        picture.putalpha(100)
    picture = picture.resize((300, 200)) if name == "small" else picture
    frames = [picture.rotate(9)] if name == "animated" else []
    picture.save(file, save_all=bool(frames), append_images=frames)
    assert not _is_scaled(file)
    assert max(_thumbnail(file).size) == SIDE


def test_a_truncated_file_fails_as_with_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "photo.webp"
    _photo(tmp_path).save(file)
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(TaskFailedError) as with_vips:
        _thumbnail(file)
    monkeypatch.setitem(sys.modules, "pyvips", None)
    webp_scaling.is_installed.cache_clear()
    with pytest.raises(TaskFailedError) as with_pillow:
        _thumbnail(file)
    assert str(with_vips.value) == str(with_pillow.value)
