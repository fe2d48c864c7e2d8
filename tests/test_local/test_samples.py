"""The samples are what their names and metadata say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest
from PIL import ExifTags, Image, ImageChops, ImageOps, ImageStat

from cl_client.local.samples import draw_photo, draw_samples, draw_video
from cl_client.local.tasks.media_types import detect_media_type

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.samples import Orientation, Rotation


def test_one_of_each_is_made(tmp_path: Path) -> None:
    files = draw_samples(tmp_path / "new" / "samples")
    assert {file.name: detect_media_type(file) for file in files} == {
        "mountains.jpg": "image",
        "portrait.jpg": "image",
        "portrait.heic": "image",
        "astronaut.jpg": "image",
        "drawing.png": "image",
        "clip.mp4": "video",
    }
    mountains, portrait, heic, astronaut, drawing, clip = files
    with Image.open(mountains) as image:
        assert image.size == (1600, 1200)
    with Image.open(portrait) as image:
        assert image.size == (1200, 900)
        assert image.getexif()[ExifTags.Base.Orientation] == 6
    with Image.open(heic) as image:
        assert image.format == "HEIF"
        assert image.getexif()[ExifTags.Base.Make] == "Canon"
    with Image.open(astronaut) as image:
        assert image.size == (512, 512)
        assert image.getexif()[ExifTags.Base.Artist] == "NASA"
        assert ExifTags.Base.Make not in image.getexif()
    with Image.open(drawing) as image:
        assert image.getchannel("A").getextrema()[0] == 0
    with av.open(str(clip), mode="r") as container:
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(3, abs=0.1)
        assert (container.streams.video[0].width, container.streams.video[0].height) == (640, 360)
        assert len(container.streams.audio) == 1


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_photo_looks_the_same_in_every_orientation(tmp_path: Path, orientation: Orientation) -> None:
    draw_photo(tmp_path / "upright.png", size=(90, 60))
    draw_photo(tmp_path / "turned.png", size=(90, 60), orientation=orientation)
    with Image.open(tmp_path / "upright.png") as upright, Image.open(tmp_path / "turned.png") as turned:
        assert turned.size == ((60, 90) if orientation >= 5 else (90, 60))
        difference = ImageChops.difference(upright, ImageOps.exif_transpose(turned))
    assert max(ImageStat.Stat(difference).mean) == 0


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_video_says_how_to_turn_it(tmp_path: Path, rotation: Rotation) -> None:
    path = tmp_path / "clip.mp4"
    draw_video(path, seconds=0.4, size=(64, 48), rotation=rotation)
    with av.open(str(path), mode="r") as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 10
    assert frames[0].rotation % 360 == -rotation % 360
    assert (frames[0].width, frames[0].height) == (64, 48)
