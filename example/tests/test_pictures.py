"""Pictures as people see them: upright, on white, 8 bits a colour, from every kind of file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from cl_client.plugins.face_detection import BoundingBox, Face
from cl_client_cli.pictures.faces import mark_faces
from cl_client_cli.pictures.upright import open_picture, picture_size, upright_picture
from cl_client_cli.report.thumbnails import make_thumbnail

if TYPE_CHECKING:
    from pathlib import Path

FACE = Face(bbox=BoundingBox(x1=0.25, y1=0.5, x2=0.75, y2=0.75), confidence=0.9)


def _upright(path: Path) -> Image.Image:
    with open_picture(path) as picture:
        return upright_picture(picture)


def test_deep_greys_keep_their_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128 * 256, 255 * 256]], dtype=np.uint16)).save(tmp_path / "deep.png")
    seen = _upright(tmp_path / "deep.png")
    assert [seen.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (2, 1), (200, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 0, 255))
    picture.convert(mode).save(tmp_path / "it.png")
    assert _upright(tmp_path / "it.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "it.jpg", exif=exif)
    assert _upright(tmp_path / "it.jpg").size == (20, 40)


def test_faces_are_marked_on_a_heic(tmp_path: Path) -> None:
    source, target = tmp_path / "photo.heic", tmp_path / "marked.png"
    pillow_heif.register_heif_opener()
    Image.new("RGB", (80, 40), (0, 0, 90)).save(source)
    assert picture_size(source) == (80, 40)
    mark_faces(source, [FACE], target)
    with Image.open(target) as marked:
        assert marked.size == (80, 40)
        assert marked.getpixel((20, 25)) == (0, 230, 118)  # the box's left side
    assert make_thumbnail(source, 160)
    assert not list(tmp_path.glob(".*"))
