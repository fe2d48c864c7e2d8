"""Thumbnails of real pictures and videos, read back from the JPEG that was written."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pytest
from PIL import Image

from cl_client.local.samples import camera_exif, draw_photo, draw_video
from cl_client.local.tasks import media_thumbnail
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.images.shrinking import shrunk
from cl_client.plugins.media_thumbnail import MediaThumbnailParams
from pictures import (
    ORIENTATIONS,
    PIXEL,
    RED,
    STORED_AS,
    assert_close,
    assert_corners,
    corners_picture,
    pixel,
    without_pixels,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.samples import Orientation, Rotation
    from cl_client.models import JSONObject

Box: TypeAlias = tuple[int | None, int | None]


class Thumbnail(Protocol):
    def __call__(
        self,
        source: Path,
        width: int | None = None,
        height: int | None = None,
        *,
        maintain_aspect_ratio: bool = True,
    ) -> Image.Image: ...


@pytest.fixture
def task_output() -> JSONObject:
    """What the task returned, once `thumbnail` has run."""
    return {}


@pytest.fixture
def thumbnail(tmp_path: Path, task_output: JSONObject) -> Thumbnail:
    def run(
        source: Path,
        width: int | None = None,
        height: int | None = None,
        *,
        maintain_aspect_ratio: bool = True,
    ) -> Image.Image:
        output = tmp_path / "output" / "thumbnail.jpg"
        output.parent.mkdir(exist_ok=True)
        params = MediaThumbnailParams(width=width, height=height, maintain_aspect_ratio=maintain_aspect_ratio)
        progress: list[int] = []
        try:
            task_output.update(
                media_thumbnail.run(TaskContext(params, source, output, tmp_path, progress.append))
            )
        finally:
            assert not list(output.parent.glob(".*")), "a partial file is left behind"
        assert progress == sorted(progress)
        with Image.open(output) as image:
            assert image.format == "JPEG"
            image.load()
        return image

    return run


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", ["photo.jpg", "photo.webp", "photo.tiff", "photo.png"])
def test_every_exif_orientation_comes_out_upright(
    tmp_path: Path, thumbnail: Thumbnail, orientation: Orientation, name: str
) -> None:
    stored = corners_picture((640, 320))
    if orientation != 1:
        stored = stored.transpose(STORED_AS[orientation])
    stored.save(tmp_path / name, exif=camera_exif(orientation))
    image = thumbnail(tmp_path / name, 80, 80)
    assert image.size == (80, 40)
    assert_corners(image)
    assert not image.getexif()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((None, None), (256, 128)),
        ((100, None), (100, 50)),
        ((None, 100), (200, 100)),
        ((100, 20), (40, 20)),
        ((100, 90), (100, 50)),
        ((4000, 4000), (600, 300)),
        ((4000, None), (600, 300)),
        ((1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("name", ["photo.jpg", "clip.mp4"])
def test_it_fits_into_the_box_and_is_never_enlarged(
    tmp_path: Path, thumbnail: Thumbnail, name: str, box: Box, expected: Box
) -> None:
    assert thumbnail(wide_medium(tmp_path / name), *box).size == expected


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((None, None), (256, 256)),
        ((100, 20), (100, 20)),
        ((1200, 1000), (1200, 1000)),
        ((100, None), (100, 50)),
        ((None, 600), (1200, 600)),
    ],
)
@pytest.mark.parametrize("name", ["photo.jpg", "clip.mp4"])
def test_without_the_aspect_ratio_it_has_the_exact_size(
    tmp_path: Path, thumbnail: Thumbnail, name: str, box: Box, expected: Box
) -> None:
    assert thumbnail(wide_medium(tmp_path / name), *box, maintain_aspect_ratio=False).size == expected


def wide_medium(path: Path) -> Path:
    """A picture or video of 600 x 300 pixels."""
    if path.suffix == ".mp4":
        draw_video(path, seconds=0.1, size=(600, 300))
    else:
        corners_picture((600, 300)).save(path)
    return path


def test_a_size_that_jpeg_cannot_have_fails(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "photo.jpg"
    corners_picture((60, 30)).save(source)
    with pytest.raises(TaskFailedError, match=r"^photo\.jpg: a JPEG cannot have 10 x 1000000 pixels"):
        thumbnail(source, 10, 1_000_000, maintain_aspect_ratio=False)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_hundred_megapixels(
    tmp_path: Path, thumbnail: Thumbnail, monkeypatch: pytest.MonkeyPatch, orientation: Orientation
) -> None:
    source = tmp_path / "huge.jpg"
    stored = corners_picture((250, 160)).resize((12_800, 8_000), Image.Resampling.NEAREST)
    stored.save(source, exif=camera_exif(orientation), quality=60)
    del stored
    decoded: list[int] = []

    def watched(image: Image.Image, size: tuple[int, int]) -> Image.Image:
        image.load()
        decoded.append(image.width * image.height)
        return shrunk(image, size)

    monkeypatch.setattr(media_thumbnail, "shrunk", watched)
    assert thumbnail(source).size == ((256, 160) if orientation == 1 else (160, 256))
    assert max(decoded) <= 12_800 * 8_000 // 64, "it was decoded at more than an eighth of its size"


@pytest.mark.parametrize("name", ["photo.heic", "photo.avif", "photo.gif", "photo.bmp"])
def test_other_formats(tmp_path: Path, thumbnail: Thumbnail, task_output: JSONObject, name: str) -> None:
    draw_photo(tmp_path / "any.heic", size=(8, 8))  # makes Pillow know HEIC
    corners_picture((200, 100)).save(tmp_path / name)
    assert_corners(thumbnail(tmp_path / name, 64))
    assert task_output == {"media_type": "image"}


def test_transparency_becomes_white(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "drawing.png"
    picture = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    picture.paste((*RED, 255), (30, 0, 60, 40))
    picture.save(source)
    image = thumbnail(source)
    assert_close(pixel(image, 0.1, 0.5), (255, 255, 255))
    assert_close(pixel(image, 0.9, 0.5), RED)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "scan.png"
    Image.new("I;16", (20, 20), 0x8000).save(source)
    assert_close(pixel(thumbnail(source), 0.5, 0.5), (128, 128, 128), 2)


def test_cmyk_jpeg(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "print.jpg"
    corners_picture((300, 200)).convert("CMYK").save(source, quality=95)
    image = thumbnail(source, 60)
    assert image.mode == "RGB"
    assert_corners(image)


def test_a_video(tmp_path: Path, thumbnail: Thumbnail, task_output: JSONObject) -> None:
    source = tmp_path / "clip.mp4"
    draw_video(source, seconds=1, size=(320, 180))
    image = thumbnail(source, 160, 160)
    assert image.size == (160, 90)
    assert task_output == {"media_type": "video"}
    red, green, blue = pixel(image, 0.5, 0.02)
    assert blue > red, "the sky is not at the top"
    assert blue > green


@pytest.mark.parametrize(("rotation", "sky_at"), [(90, (0.98, 0.3)), (180, (0.5, 0.98)), (270, (0.02, 0.3))])
def test_a_rotated_video_comes_out_as_players_show_it(
    tmp_path: Path, thumbnail: Thumbnail, rotation: Rotation, sky_at: tuple[float, float]
) -> None:
    source = tmp_path / "clip.mp4"
    draw_video(source, seconds=0.2, size=(320, 180), rotation=rotation)
    image = thumbnail(source, 160, 160)
    assert image.size == ((160, 90) if rotation == 180 else (90, 160))
    red, _, blue = pixel(image, *sky_at)
    assert blue > red + 40, "the sky is not where the rotation puts it"


def test_the_frame_is_from_a_tenth_of_the_video(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "clip.mkv"
    draw_video(source, seconds=2, size=(320, 180))
    # The ball starts at the left edge and has moved by a tenth of the way, upwards.
    image = thumbnail(source, 320)
    ball = [x for x in range(320) if is_ball(image, x)]
    middle = (ball[0] + ball[-1]) / 2
    assert middle == pytest.approx(15 + 0.1 * 290, abs=6)


def is_ball(image: Image.Image, x: int) -> bool:
    for y in range(image.height):
        red, green, blue = PIXEL.validate_python(image.getpixel((x, y)))
        if red > 190 and green < 120 and blue < 110:
            return True
    return False


def test_a_video_named_as_a_picture_and_a_picture_named_as_a_video(
    tmp_path: Path, thumbnail: Thumbnail, task_output: JSONObject
) -> None:
    draw_video(tmp_path / "clip.mp4", seconds=0.2, size=(64, 48))
    video = (tmp_path / "clip.mp4").rename(tmp_path / "clip.jpg")
    thumbnail(video)
    assert task_output == {"media_type": "video"}
    draw_photo(tmp_path / "photo.jpg", size=(64, 48))
    photo = (tmp_path / "photo.jpg").rename(tmp_path / "photo.mp4")
    thumbnail(photo)
    assert task_output == {"media_type": "image"}


def test_sound_alone_fails(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "song.wav"
    with wave.open(str(source), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16_000))
    with pytest.raises(TaskFailedError, match=r"^song\.wav: the file has only audio, no video$"):
        thumbnail(source)


@pytest.mark.parametrize("name", ["-o.jpg", "été à la plage ☀.jpg", "-i.mp4", "a b ☀.mp4"])
def test_odd_file_names(tmp_path: Path, thumbnail: Thumbnail, name: str) -> None:
    source = tmp_path / name
    if name.endswith("mp4"):
        draw_video(source, seconds=0.1, size=(64, 48))
    else:
        draw_photo(source, size=(64, 48))
    assert thumbnail(source).size == (64, 48)


def test_a_jpeg_without_pixels_fails(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "cut.jpg"
    draw_photo(source, size=(800, 600))
    source.write_bytes(without_pixels(source.read_bytes()))
    with pytest.raises(TaskFailedError, match=r"^cut\.jpg: the image is truncated \("):
        thumbnail(source)


def test_a_video_without_its_index_fails(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "cut.mp4"
    draw_video(source, seconds=0.5, size=(64, 48))
    source.write_bytes(source.read_bytes()[:2000])
    with pytest.raises(TaskFailedError, match=r"^cut\.mp4: "):
        thumbnail(source)


def test_a_video_of_an_unknown_codec_fails(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "future.mp4"
    draw_video(source, seconds=0.1, size=(64, 48))
    source.write_bytes(source.read_bytes().replace(b"avc1", b"zzz9").replace(b"mp4v", b"zzz9"))
    with pytest.raises(TaskFailedError, match=r"^future\.mp4: the video codec is not supported"):
        thumbnail(source)


def test_a_video_with_a_damaged_middle_gives_a_frame(tmp_path: Path, thumbnail: Thumbnail) -> None:
    source = tmp_path / "clip.mkv"
    draw_video(source, seconds=1, size=(320, 180))
    data = io.BytesIO(source.read_bytes())
    data.seek(len(data.getvalue()) // 2)
    data.write(bytes(3000))
    source.write_bytes(data.getvalue())
    assert thumbnail(source, 160).size == (160, 90)


def test_empty_and_foreign_files_fail(tmp_path: Path, thumbnail: Thumbnail) -> None:
    empty, text = tmp_path / "empty.mp4", tmp_path / "notes.jpg"
    empty.touch()
    text.write_text("Buy milk. " * 100)
    with pytest.raises(TaskFailedError, match=r"^empty\.mp4: the file is empty$"):
        thumbnail(empty)
    with pytest.raises(TaskFailedError, match=r"^notes\.jpg: not an image in a supported format \(text\)$"):
        thumbnail(text)


def test_a_playlist_is_not_followed(tmp_path: Path, thumbnail: Thumbnail) -> None:
    draw_video(tmp_path / "secret.mp4", seconds=0.1, size=(64, 48))
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(TaskFailedError, match=r"^list\.mp4: not an image in a supported format \(text\)$"):
        thumbnail(playlist)
