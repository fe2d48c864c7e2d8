"""Sample media, drawn here but for one photo: for the demo and for tests, without downloads."""

from __future__ import annotations

import itertools
import math
import random
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import av
import pillow_heif
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import ExifTags, Image, ImageDraw, ImageOps
from PIL.TiffImagePlugin import IFDRational

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import OutputContainer
    from av.video.stream import VideoStream

Orientation: TypeAlias = Literal[1, 2, 3, 4, 5, 6, 7, 8]
Rotation: TypeAlias = Literal[0, 90, 180, 270]

_Colour: TypeAlias = tuple[int, int, int]

_SKY: Final[tuple[_Colour, _Colour]] = ((45, 74, 138), (255, 196, 142))
_SUN: Final[_Colour] = (255, 244, 214)
_RANGES: Final[tuple[tuple[float, float, _Colour], ...]] = (
    (0.46, 0.20, (151, 143, 178)),
    (0.55, 0.17, (101, 103, 148)),
    (0.63, 0.12, (62, 74, 112)),
)
"""From far to near: height of the ridge's middle and its relief, as fractions of the height; colour."""
_SHORE: Final = 0.70
_STORED_AS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright image is turned before it is stored with each EXIF orientation."""

_ASTRONAUT: Final = Path(__file__).parent / "astronaut.jpg"
_QUALITY: Final = 90
_FRAME_RATE: Final = 25
_SAMPLE_RATE: Final = 44_100
_TONES_HZ: Final = (262, 330, 392)


def draw_samples(folder: Path) -> list[Path]:
    """Write sample files: two photos, a HEIC, a face, a drawing with transparency, and a video with sound.

    Args:
        folder: The folder for the files; created if it does not exist. Existing files are overwritten.

    Returns:
        The files: ``mountains.jpg``, ``portrait.jpg`` (stored rotated, EXIF orientation 6),
        ``portrait.heic``, ``astronaut.jpg`` (a real photo), ``drawing.png`` and ``clip.mp4``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        folder / name
        for name in (
            "mountains.jpg",
            "portrait.jpg",
            "portrait.heic",
            "astronaut.jpg",
            "drawing.png",
            "clip.mp4",
        )
    ]
    mountains, portrait, heic, astronaut, drawing, clip = files
    draw_photo(mountains)
    draw_photo(portrait, size=(900, 1200), orientation=6)
    draw_photo(heic, size=(600, 800))
    write_astronaut(astronaut)
    draw_drawing(drawing)
    draw_video(clip)
    return files


def draw_photo(path: Path, size: tuple[int, int] = (1600, 1200), orientation: Orientation = 1) -> None:
    """Draw a mountain lake with the EXIF of a camera: make, model, dates, exposure, place.

    Args:
        path: The file to write; its extension selects the format: JPEG, HEIC or any other that Pillow writes
            with EXIF.
        size: Width and height in pixels of the upright image.
        orientation: EXIF orientation, 1-8. The pixels are stored rotated to match it.
    """
    pillow_heif.register_heif_opener()
    picture = _landscape(size)
    if orientation != 1:
        picture = picture.transpose(_STORED_AS[orientation])
    picture.save(path, exif=camera_exif(orientation).tobytes(), quality=_QUALITY)


def camera_exif(orientation: Orientation = 1) -> Image.Exif:
    """Make the EXIF of the drawn photos: taken at 45.97639 N, 7.65861 E, 3,089 m above sea level.

    Args:
        orientation: EXIF orientation, 1-8.

    Returns:
        The EXIF data of a camera.
    """
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Model] = "EOS R5"
    exif[ExifTags.Base.Orientation] = int(orientation)
    exif[ExifTags.Base.Software] = "1.10"
    exif[ExifTags.Base.DateTime] = "2025:06:21 20:47:12"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ExposureTime] = IFDRational(1, 250)
    details[ExifTags.Base.FNumber] = IFDRational(28, 10)
    details[ExifTags.Base.ISOSpeedRatings] = 200
    details[ExifTags.Base.ExifVersion] = b"0232"
    details[ExifTags.Base.DateTimeOriginal] = "2025:06:21 20:47:11"
    details[ExifTags.Base.DateTimeDigitized] = "2025:06:21 20:47:11"
    details[ExifTags.Base.FocalLength] = IFDRational(85, 1)
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef] = "N"
    place[ExifTags.GPS.GPSLatitude] = (IFDRational(45), IFDRational(58), IFDRational(35))
    place[ExifTags.GPS.GPSLongitudeRef] = "E"
    place[ExifTags.GPS.GPSLongitude] = (IFDRational(7), IFDRational(39), IFDRational(31))
    place[ExifTags.GPS.GPSAltitudeRef] = b"\0"
    place[ExifTags.GPS.GPSAltitude] = IFDRational(3089)
    return exif


def write_astronaut(path: Path) -> None:
    """Write a photo with a face: Eileen Collins, astronaut, 512 x 512 pixels, by NASA, in the public domain.

    Its EXIF names the person and the photographer, but no camera: the original has none.

    Args:
        path: The file to write; its extension selects the format: JPEG or any other that Pillow writes with
            EXIF.
    """
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "Eileen Collins, astronaut"
    exif[ExifTags.Base.Artist] = "NASA"
    exif[ExifTags.Base.Copyright] = "Public domain"
    exif[ExifTags.Base.Orientation] = 1
    with Image.open(_ASTRONAUT) as photo:
        photo.save(path, exif=exif.tobytes(), quality=_QUALITY)


def draw_drawing(path: Path, size: tuple[int, int] = (800, 600)) -> None:
    """Draw overlapping translucent discs on a transparent background.

    Args:
        path: The file to write, in a format with transparency, such as PNG.
        size: Width and height in pixels.
    """
    width, height = size
    radius = 0.3 * min(size)
    drawing = Image.new("RGBA", size, (255, 255, 255, 0))
    for turn, colour in enumerate(((233, 79, 55), (63, 136, 197), (68, 187, 164))):
        angle = math.tau * turn / 3 - math.pi / 2
        x = width / 2 + 0.62 * radius * math.cos(angle)
        y = height / 2 + 0.62 * radius * math.sin(angle)
        disc = Image.new("RGBA", size, (255, 255, 255, 0))
        ImageDraw.Draw(disc).ellipse((x - radius, y - radius, x + radius, y + radius), (*colour, 170))
        drawing = Image.alpha_composite(drawing, disc)
    drawing.save(path)


def draw_video(
    path: Path, seconds: float = 3.0, size: tuple[int, int] = (640, 360), rotation: Rotation = 0
) -> None:
    """Draw a video of a ball that crosses a mountain lake, with three tones as its sound.

    Args:
        path: The file to write; its extension selects the container, for instance ``.mp4``.
        seconds: The duration.
        size: Width and height in pixels as stored; even numbers.
        rotation: Degrees clockwise by which a player has to rotate the stored frames.
    """
    with av.open(str(path), mode="w") as container:
        video = _add_video_stream(container, size)
        if rotation:
            video.set_display_rotation(-rotation)  # takes it counter-clockwise
        audio = container.add_stream("aac", rate=_SAMPLE_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        audio.layout = "mono"
        for frame in itertools.chain(_video_frames(size, round(seconds * _FRAME_RATE)), (None,)):
            container.mux(video.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        for frame in itertools.chain(_tones(seconds), (None,)):
            container.mux(audio.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open


def _add_video_stream(container: OutputContainer, size: tuple[int, int]) -> VideoStream:
    if "libx264" in av.codecs_available:
        video = container.add_stream("h264", rate=_FRAME_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        video.options = {"preset": "ultrafast", "crf": "23"}
    else:
        video = container.add_stream("mpeg4", rate=_FRAME_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
    video.width, video.height = size
    video.pix_fmt = "yuv420p"
    return video


def _video_frames(size: tuple[int, int], count: int) -> Iterator[VideoFrame]:
    """Yield frames of an orange ball bouncing over the lake from left to right."""
    background = _landscape(size).convert("RGBA")
    width, height = size
    radius = max(2, height // 12)
    for index in range(count):
        part = index / max(1, count - 1)
        x = radius + part * (width - 2 * radius)
        y = height - radius - abs(math.sin(part * 3 * math.pi)) * (height - 2 * radius) * 0.7
        picture = background.copy()
        ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), (233, 79, 55))
        yield VideoFrame.from_bytes(picture.tobytes(), width, height).reformat(format="yuv420p")


def _tones(seconds: float) -> Iterator[AudioFrame]:
    """Yield three tones of a chord, each fading out."""
    count = round(seconds * _SAMPLE_RATE)
    length = max(1, math.ceil(count / len(_TONES_HZ)))
    waves = (
        math.exp(-4 * (index % length) / length)
        * math.sin(math.tau * _TONES_HZ[index // length] * index / _SAMPLE_RATE)
        for index in range(count)
    )
    samples = array("h", (round(12_000 * wave) for wave in waves))
    frame = AudioFrame(format="s16", layout="mono", samples=count)
    frame.sample_rate = _SAMPLE_RATE
    frame.planes[0].update(samples.tobytes())
    yield frame


def _landscape(size: tuple[int, int]) -> Image.Image:
    """Draw mountains at sunset, mirrored in a lake; the same at every call."""
    chance = random.Random(7)  # noqa: S311 - for a drawing, not for secrets
    width, height = size
    shore = round(height * _SHORE)
    scene = _sky((width, shore))
    mist = Image.linear_gradient("L").resize((width, shore)).point(lambda level: level * 0.55)
    for middle, relief, colour in _RANGES:
        ridge = _ridge(chance, width, middle * height, relief * height)
        outline = Image.new("L", scene.size)
        ImageDraw.Draw(outline).polygon([(0, shore), *ridge, (width, shore)], fill=255)
        rock = Image.composite(
            Image.new("RGB", scene.size, _SKY[1]), Image.new("RGB", scene.size, colour), mist
        )
        scene.paste(rock, mask=outline)
    picture = Image.new("RGB", size)
    picture.paste(scene)
    picture.paste(_reflection(scene, (width, height - shore)), (0, shore))
    _draw_firs(ImageDraw.Draw(picture), chance, size)
    return picture


def _sky(size: tuple[int, int]) -> Image.Image:
    width, height = size
    sky = ImageOps.colorize(Image.linear_gradient("L").resize(size), _SKY[0], _SKY[1])
    # The gradient reaches the middle of the box's sides at 75: dark from there on, it shows no edge.
    brightness = [190 * (max(0, level - 75) / 180) ** 1.6 for level in range(256)]
    glow = ImageOps.invert(Image.radial_gradient("L")).resize((2 * height, 2 * height)).point(brightness)
    sun_x, sun_y = round(width * 0.66), round(height * 0.46)
    corner = (sun_x - height, sun_y - height)
    sky.paste(_SUN, corner, glow)
    radius = height * 0.055
    ImageDraw.Draw(sky).ellipse((sun_x - radius, sun_y - radius, sun_x + radius, sun_y + radius), _SUN)
    return sky


def _ridge(chance: random.Random, width: int, middle: float, relief: float) -> list[tuple[float, float]]:
    """Make the outline of a ridge from the left edge to the right, by midpoint displacement."""
    heights = [chance.uniform(-relief, relief) / 2 for _ in range(4)]
    roughness = relief
    for _ in range(6):
        roughness *= 0.5
        between = [
            (left + right) / 2 + chance.uniform(-roughness, roughness)
            for left, right in itertools.pairwise(heights)
        ]
        heights = [*itertools.chain.from_iterable(zip(heights, between, strict=False)), heights[-1]]
    step = width / (len(heights) - 1)
    return [(index * step, middle - height) for index, height in enumerate(heights)]


def _reflection(scene: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Flip the scene, blur it like ripples, and darken it towards the viewer."""
    mirrored = ImageOps.flip(scene).resize(size).reduce((1, 6)).resize(size)
    depth = Image.linear_gradient("L").resize(size).point(lambda level: 60 + level * 0.5)
    return Image.composite(Image.new("RGB", size, (24, 36, 66)), mirrored, depth)


def _draw_firs(draw: ImageDraw.ImageDraw, chance: random.Random, size: tuple[int, int]) -> None:
    """Draw dark firs in both lower corners, larger towards the edges."""
    width, height = size
    for index in range(26):
        inward = chance.uniform(0, 0.30)
        x = width * (inward if index % 2 else 1 - inward)
        top = height * (0.34 - inward * 0.7) * chance.uniform(0.7, 1.0)
        foot = height * (1.02 - 0.1 * inward)
        for tier in range(5):
            spread = top * 0.06 * (tier + 1.4)
            tip, base = foot - top * (1 - tier * 0.17), foot - top * (0.66 - tier * 0.165)
            draw.polygon([(x, tip), (x - spread, base), (x + spread, base)], fill=(16, 24, 38))
