"""How pictures and videos are shown, compared with what decoders make of them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import pillow_heif
import pytest
from PIL import Image, ImageOps

from cl_client.local.tasks.contract import TaskContext
from cl_client.local.tasks.metadata import exif
from cl_client.local.tasks.metadata.heif_properties import heif_properties
from cl_client.local.tasks.videos.representative_frame import representative_frame
from cl_client.plugins.exif import ExifOutput, ExifParams
from metadata_files import heif_transformed
from pictures import corners_picture
from support import require
from video_clips import Clip, steady

if TYPE_CHECKING:
    from pathlib import Path

Rotation: TypeAlias = Literal[0, 90, 180, 270]

TRANSFORMS: Final = (
    b"", b"\x00", b"\x01", b"\x02", b"\x03", b"\x10", b"\x11",
    *(bytes([turn, mirror]) for turn in range(4) for mirror in (0x10, 0x11)),
    *(bytes([mirror, turn]) for turn in range(4) for mirror in (0x10, 0x11)),
)  # fmt: skip
"""irot with 0-3 quarters anticlockwise, imir with either axis, and both in either order."""


def extract(source: Path) -> ExifOutput:
    context = TaskContext(ExifParams(), source, source.with_suffix(".json"), source.parent, lambda _: None)
    return ExifOutput.model_validate(exif.run(context))


@pytest.mark.parametrize("transforms", TRANSFORMS)
def test_a_heic_is_turned_as_libheif_does(tmp_path: Path, transforms: bytes) -> None:
    pillow_heif.register_heif_opener()
    corners = corners_picture((128, 64)).convert("RGB")
    stored = heif_transformed(tmp_path / "photo.heic", None, b"", corners)
    turned = heif_transformed(tmp_path / "turned.heic", 6, transforms, corners)
    found = heif_properties(turned)
    assert found is not None
    assert (found.width, found.height) == (128, 64)
    with Image.open(stored) as image, Image.open(turned) as shown:
        tags = Image.Exif()
        tags[0x0112] = found.orientation
        image.info["exif"] = tags.tobytes()
        image.getexif()[0x0112] = found.orientation
        expected = ImageOps.exif_transpose(image)
        assert shown.size == expected.size == (found.display_width, found.display_height)
        assert corners_of(shown.convert("RGB")) == corners_of(expected.convert("RGB"))


def corners_of(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours of the corners, coarse enough for lossy compression."""
    width, height = image.size
    places = [(4, 4), (width - 5, 4), (4, height - 5), (width - 5, height - 5)]
    colours = [image.getpixel(place) for place in places]
    return [tuple(value // 128 for value in colour) for colour in colours if isinstance(colour, tuple)]


def test_a_cropped_heic(tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    file = tmp_path / "photo.heic"
    Image.new("RGB", (100, 70)).save(file)  # coded in blocks, and cropped by a property
    found = heif_properties(file)
    assert found is not None
    assert (found.display_width, found.display_height) == (100, 70)
    assert extract(file).display_width == 100


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x01meta", bytes(100)]
)
def test_no_properties(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "photo.heic"
    file.write_bytes(content)
    assert heif_properties(file) is None


@pytest.mark.parametrize("cut", [60, 120, 200, 250, 300])
def test_a_heic_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    file = heif_transformed(tmp_path / "photo.heic", 6, b"\x03")
    file.write_bytes(file.read_bytes()[:cut])
    assert heif_properties(file) is None or cut >= 250


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("shape", [None, Fraction(16, 11), Fraction(8, 9)])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_video_is_shown_as_its_thumbnail(
    tmp_path: Path, rotation: Rotation, shape: Fraction | None, suffix: str
) -> None:
    require("exiftool")
    clip = Clip(times=steady(1.4), rotation=rotation, pixel_shape=shape)
    file = clip.write(tmp_path / f"clip.{suffix}")
    output = extract(file)
    assert (output.image_width, output.image_height) == (320, 240)
    assert output.orientation == {0: 1, 90: 6, 180: 3, 270: 8}[rotation]
    shown = representative_frame(file, lambda size: size, print)
    assert (output.display_width, output.display_height) == shown.size


@pytest.mark.parametrize(
    ("name", "video_codec", "sound_codec", "width"),
    [
        ("clip.ts", "libx264", "aac", 465),
        ("clip.avi", "mpeg4", "mp3", 465),
        ("clip.mpg", "mpeg2video", "mp2", 427),  # knows no other shape than that for 16:9
    ],
)
def test_other_videos_with_pixels_that_are_not_square(
    tmp_path: Path, name: str, video_codec: str, sound_codec: str, width: int
) -> None:
    require("exiftool")
    shape = Fraction(16, 11)
    clip = Clip(times=steady(1.4), pixel_shape=shape, video_codec=video_codec, sound_codec=sound_codec)
    output = extract(clip.write(tmp_path / name))
    assert (output.image_width, output.image_height) == (320, 240)
    assert (output.display_width, output.display_height) == (width, 240)
