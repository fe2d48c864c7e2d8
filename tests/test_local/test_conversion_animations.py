"""Animations between GIF, WebP, APNG and AVIF: frames, delays, repeats."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import av
import pytest
from PIL import Image, ImageDraw, ImageSequence
from pydantic import TypeAdapter

from cl_client.local.tasks.contract import TaskFailedError
from pictures import BLUE, GREEN, RED, assert_close, pixel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client._core.choices import ImageFormat
    from conversions import Converter

NUMBER = TypeAdapter(float)


def frames(count: int, size: tuple[int, int] = (48, 32)) -> list[Image.Image]:
    """A block that moves on from frame to frame, over three colours that follow each other."""
    pictures: list[Image.Image] = []
    for index in range(count):
        picture = Image.new("RGB", size, (RED, GREEN, BLUE)[index % 3])
        ImageDraw.Draw(picture).rectangle((index % 40, 8, index % 40 + 6, 24), fill="white")
        pictures.append(picture)
    return pictures


def write(path: Path, pictures: Sequence[Image.Image], durations: Sequence[float], loop: int | None) -> None:
    first, *others = pictures
    if loop is None:
        first.save(path, save_all=True, append_images=others, duration=list(durations))
    else:
        first.save(
            path, save_all=True, append_images=others, duration=list(durations), loop=loop, lossless=True
        )


def delays(path: Path) -> list[float]:
    """Milliseconds of each frame, as the file has them."""
    with Image.open(path) as image:
        found: list[float] = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            found.append(NUMBER.validate_python(frame.info["duration"]))
        return found


def repeats(path: Path) -> int | None:
    """The number as it is stored, read without Pillow; None if it is not there."""
    content = path.read_bytes()
    for mark, skipped, layout in (
        (b"NETSCAPE2.0\x03\x01", 0, "<H"),
        (b"ANIM", 8, "<H"),  # after the length and the background
        (b"acTL", 4, ">I"),
    ):
        if mark in content:
            start = content.index(mark) + len(mark) + skipped
            return cast("tuple[int]", struct.unpack_from(layout, content, start))[0]
    return None


GIF, WEBP, APNG = "loop.gif", "loop.webp", "loop.png"


@pytest.mark.parametrize("source_name", [GIF, WEBP, APNG])
@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_an_animation_is_shown_as_often_as_before(
    tmp_path: Path, convert: Converter, source_name: str, times: int
) -> None:
    stored: dict[int, int | None] = {0: 0, 1: None, 2: 1, 5: 4}  # of a GIF: the repeats after the first time
    source = tmp_path / source_name
    write(source, frames(3), [100] * 3, stored[times] if source_name == GIF else times)
    assert repeats(source) == (stored[times] if source_name == GIF else times)
    assert repeats(convert(source, "gif")) == stored[times]
    assert repeats(convert(source, "webp")) == times
    assert repeats(convert(source, "png")) == times
    assert convert.dropped == ()


@pytest.mark.parametrize(("times", "stored"), [(65_535, 65_534), (70_000, 65_535)])
def test_a_count_of_repeats_that_other_formats_cannot_hold(
    tmp_path: Path, convert: Converter, times: int, stored: int
) -> None:
    source = tmp_path / APNG
    write(source, frames(2), [100] * 2, times)
    assert repeats(convert(source, "gif")) == stored
    assert repeats(convert(source, "webp")) == 65_535
    assert repeats(convert(source, "png")) == times


@pytest.mark.parametrize("target", ["gif", "webp", "png"])
def test_an_avif_goes_on_for_ever(tmp_path: Path, convert: Converter, target: ImageFormat) -> None:
    source = tmp_path / "loop.avif"
    write(source, frames(4), [40, 70, 33, 33], None)
    result = convert(source, target)
    assert repeats(result) == 0
    assert sum(delays(result)) == pytest.approx(176, abs=10)


@pytest.mark.parametrize("source_name", [WEBP, APNG, "loop.avif"])
@pytest.mark.parametrize("step", [1000 / 60, 16, 1000 / 30, 33, 45])
def test_delays_of_a_gif_add_up(tmp_path: Path, convert: Converter, source_name: str, step: float) -> None:
    ends = [step * index for index in range(61)]
    exact = [after - before for before, after in pairwise(ends)]
    source = tmp_path / source_name
    whole = [round(after) - round(before) for before, after in pairwise(ends)]
    write(source, frames(60), exact if source_name == APNG else whole, 0)
    found = delays(convert(source, "gif"))
    assert min(found) >= 20
    assert sum(found) == pytest.approx(60 * step, abs=10)
    assert len(found) == pytest.approx(min(60, 60 * step / 20), abs=1)


def test_frames_that_browsers_slow_down_take_as_long_in_a_gif(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / WEBP
    write(source, frames(5), [5, 10, 0, 11, 50], 0)
    assert delays(convert(source, "gif")) == [100, 100, 100, 20, 40]


def test_a_gif_that_browsers_slow_down_is_slow_in_other_formats(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / GIF
    write(source, frames(4), [0, 10, 20, 30], 0)
    for target in ("webp", "png", "gif"):
        assert delays(convert(source, target)) == [100, 100, 20, 30]


@pytest.mark.parametrize("target", ["webp", "png"])
def test_frames_of_a_third_of_a_millisecond_add_up(
    tmp_path: Path, convert: Converter, target: ImageFormat
) -> None:
    source = tmp_path / APNG
    write(source, frames(30), [1000 / 30] * 30, 0)
    found = delays(convert(source, target))
    assert sum(found) == pytest.approx(1000, abs=1)
    assert {round(delay) for delay in found} <= {33, 34}


@pytest.mark.parametrize("target", ["gif", "webp", "png"])
@pytest.mark.parametrize("duration", [70_001, 600_010, 700_000])
def test_very_long_delays(tmp_path: Path, convert: Converter, target: ImageFormat, duration: int) -> None:
    source = tmp_path / WEBP
    write(source, frames(2), [duration, 100], 0)
    longest = 655_350 if target == "gif" else duration
    found = delays(convert(source, target))
    assert found[0] == pytest.approx(min(duration, longest), abs=10)
    assert found[1] == 100


def test_the_durations_of_a_gif_as_ffmpeg_sees_them(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / WEBP
    write(source, frames(30), [33] * 30, 0)
    with av.open(str(convert(source, "gif"))) as container:
        decoded = list(container.decode(video=0))
        times = [float(frame.time or 0) for frame in decoded]
    assert len(times) == 30
    assert times == pytest.approx([0.033 * index for index in range(30)], abs=0.006)


def ring(x: int, alpha: int = 255) -> Image.Image:
    picture = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((x, 5, x + 25, 35), fill=(*RED, alpha))
    return picture


@pytest.mark.parametrize("source_name", [WEBP, APNG, "loop.avif"])
def test_an_opaque_frame_before_transparent_ones(
    tmp_path: Path, convert: Converter, source_name: str
) -> None:
    source = tmp_path / source_name
    opaque = Image.new("RGBA", (60, 40), (*BLUE, 255))
    write(source, [opaque, ring(5), ring(30)], [100] * 3, 0)
    with Image.open(convert(source, "gif")) as image:
        assert pixel(image, 0.05, 0.5, "RGBA") == pytest.approx((*BLUE, 255), abs=6)
        image.seek(1)
        assert pixel(image, 0.9, 0.5, "RGBA")[3] == 0
        assert_close(pixel(image, 0.3, 0.5, "RGBA"), (*RED, 255))
        image.seek(2)
        assert pixel(image, 0.05, 0.5, "RGBA")[3] == 0, "the frame before shows through"
        assert_close(pixel(image, 0.7, 0.5, "RGBA"), (*RED, 255))


def test_frames_with_palettes_of_their_own(tmp_path: Path, convert: Converter) -> None:
    pictures: list[Image.Image] = []
    for shift in (0, 80, 160):
        picture = Image.new("RGB", (64, 64))
        for x in range(64):
            ImageDraw.Draw(picture).line(
                (x, 0, x, 63), fill=(shift + x, 255 - shift - x, (x * 4 + shift) % 256)
            )
        pictures.append(picture)
    source = tmp_path / APNG
    write(source, pictures, [100] * 3, 0)
    with Image.open(convert(source, "gif")) as image:
        for frame, picture in zip(ImageSequence.Iterator(image), pictures, strict=True):
            assert frame.convert("RGB").tobytes() == picture.tobytes(), "64 colours fit into a palette"
    assert convert.dropped == ()


def test_the_picture_for_programs_without_animations_is_not_part_of_one(
    tmp_path: Path, convert: Converter
) -> None:
    source = tmp_path / "sticker.png"
    Image.new("RGB", (20, 20), "white").save(
        source, save_all=True, default_image=True, append_images=frames(3, (20, 20)), duration=100
    )
    for target in ("gif", "webp", "png"):
        with Image.open(convert(source, target)) as image:
            assert getattr(image, "n_frames", 1) == 3
            assert_close(pixel(image, 1, 1), RED)
    with Image.open(convert(source, "jpg")) as image:
        assert_close(pixel(image, 1, 1), (255, 255, 255))


@pytest.mark.parametrize(
    ("target", "word"), [("jpg", "animation"), ("bmp", "animation"), ("tiff", "frame durations")]
)
def test_what_a_format_has_not_of_an_animation(
    tmp_path: Path, convert: Converter, target: ImageFormat, word: str
) -> None:
    source = tmp_path / WEBP
    write(source, frames(4), [100] * 4, 0)
    convert(source, target)
    assert convert.dropped == (word,)


def test_pages_that_are_not_kept(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "scan.tiff"
    first, *others = frames(3)
    first.save(source, save_all=True, append_images=others)
    convert(source, "png")
    assert convert.dropped == ("pages",)
    with Image.open(convert(source, "tiff")) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert convert.dropped == ()


@pytest.mark.parametrize("hole", [False, True])
def test_frames_of_256_colours(tmp_path: Path, convert: Converter, hole: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pictures = [
        Image.frombytes("RGB", (16, 16), bytes((index * 7 + shift) % 256 for index in range(768)))
        for shift in (0, 9)
    ]
    if hole:
        pictures = [picture.convert("RGBA") for picture in pictures]
        pictures[1].paste((0, 0, 0, 0), (0, 0, 4, 4))
    source = tmp_path / APNG
    write(source, pictures, [100] * 2, 0)
    with Image.open(convert(source, "gif")) as image:
        for frame, picture in zip(ImageSequence.Iterator(image), pictures, strict=True):
            assert pixel(frame, 1, 1) == pytest.approx(pixel(picture, 1, 1), abs=10)
        assert pixel(image, 0, 0, "RGBA")[3] == (0 if hole else 255)
    assert convert.dropped == (("colours",) if hole else ())


def test_thousands_of_frames_are_too_many_for_a_tiff(tmp_path: Path, convert: Converter) -> None:
    file = tmp_path / "recording.gif"
    frames = [Image.new("L", (2, 2), 255 * (number % 2)) for number in range(5001)]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=50)
    with pytest.raises(TaskFailedError, match=r"^recording\.gif: its 5001 frames .* png and webp can"):
        convert(file, "tiff")
