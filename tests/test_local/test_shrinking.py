"""A thumbnail is made in bands: not one pixel differs from that of the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from cl_client.local.tasks.images import pixels, shrinking
from cl_client.local.tasks.images.orientation import upright
from cl_client.local.tasks.images.pixels import displayable, flattened
from cl_client.local.tasks.images.shrinking import shrunk
from pixel_files import photo

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (611, 377)
"""No multiple of any factor, so that the last band, row and column are cut."""


@pytest.fixture(autouse=True)
def _small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "BAND_PIXELS", 20_000)
    monkeypatch.setattr(pixels, "BAND_PIXELS", 3_000)


def _whole(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The same without bands."""
    picture = displayable(upright(image))
    if picture.mode.endswith("A"):
        base = picture.mode.removesuffix("A")
        flat = Image.new(base, picture.size, "white")
        flat.paste(picture.convert(base), mask=picture.getchannel("A"))
        picture = flat
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _assert_same(image: Image.Image, size: tuple[int, int]) -> None:
    expected, result = _whole(image, size), shrunk(image, size)
    assert (result.mode, result.size) == (expected.mode, expected.size)
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"])
@pytest.mark.parametrize("size", [(64, 39), (39, 64), (611, 20), (20, 377), (1, 1), (900, 500)], ids=str)
def test_each_mode_and_size(mode: str, size: tuple[int, int]) -> None:
    _assert_same(photo(mode, SIZE), size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation(orientation: int) -> None:
    image = photo("RGBA", SIZE)
    image.getexif()[0x0112] = orientation
    _assert_same(image, (64, 39))


@pytest.mark.parametrize("transparency", [3, bytes(range(256))], ids=["index", "table"])
def test_transparency_of_a_palette(transparency: int | bytes) -> None:
    image = photo("P", SIZE)
    image.info["transparency"] = transparency
    _assert_same(image, (64, 39))


def test_an_icns_is_loaded_before_its_mode_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "icon.icns"  # its mode is RGBA until it is loaded: the pixels are without transparency
    photo(size=(128, 128)).save(file)
    with Image.open(file) as image:
        assert shrunk(image, (16, 16)).mode == "RGB"


def test_what_belongs_to_the_image_stays() -> None:
    image = photo("RGBA", SIZE)
    image.info["icc_profile"] = b"profile"
    assert shrunk(image, (64, 39)).info["icc_profile"] == b"profile"


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_flattening_in_bands(mode: str) -> None:
    image = photo(mode, SIZE)
    assert flattened(image).tobytes() == _whole(image, SIZE).tobytes()
