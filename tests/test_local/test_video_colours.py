"""Colours of videos: a thumbnail and every quality of a stream show those that were recorded."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from cl_client.local.tasks import media_thumbnail
from cl_client.local.tasks.contract import TaskContext
from cl_client.local.tasks.hls import hls_streaming
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from cl_client.plugins.media_thumbnail import MediaThumbnailParams
from colour_clips import UNSPECIFIED, ColourClip, thumbnail_of
from hls_playback import pixel as streamed_pixel
from hls_playback import stream_of
from pictures import assert_close, pixel

if TYPE_CHECKING:
    from pathlib import Path

    from colour_clips import Parts, Tags

GREEN: Parts = (0, 0.75, 0.25)
GREEN_8_BIT = (0, 191, 64)
HD, SD = (1280, 720), (640, 480)
SDR_TRANSFERS = {1, 6}
VARIANTS = HlsVariant(resolution=720, bitrate=900), HlsVariant(resolution=240, bitrate=300)


def streamed(source: Path, folder: Path, *, encodes_original: bool) -> list[VideoFrame]:
    """The first frame of each quality, and of the original if it is encoded anew."""
    params = HlsStreamingParams(variants=VARIANTS, include_original=True)
    stream = stream_of(source, folder, params)
    names = ["720p-900", "240p-300", *(["orig"] if encodes_original else [])]
    return [stream.playlist(name).frames[0] for name in names]


def tags_of(frame: VideoFrame) -> Tags:
    return frame.color_primaries, frame.color_trc, frame.colorspace


def assert_shown(
    source: Path,
    folder: Path,
    *expected: tuple[int, int, int],
    tolerance: int = 5,
    encodes_original: bool = False,
) -> None:
    """Both tasks show these colours from left to right, and all qualities are described as the same."""
    image = thumbnail_of(source, folder)
    frames = streamed(source, folder, encodes_original=encodes_original)
    for index, colour in enumerate(expected):
        x = (index + 0.5) / len(expected)
        assert_close(pixel(image, x, 0.5), colour, tolerance)
        for frame in frames:
            assert_close(streamed_pixel(frame, x, 0.5), colour, tolerance)
    assert len({tags_of(frame) for frame in frames}) == 1
    for primaries, transfer, matrix in map(tags_of, frames):
        assert primaries in {1, 5, 6}
        assert transfer in SDR_TRANSFERS
        assert matrix in {1, 5, 6}


@pytest.mark.parametrize(("size", "matrix"), [(HD, 1), (SD, 6)])
def test_what_is_not_described_goes_by_the_height_of_the_source(
    tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    source = ColourClip(stripes=[GREEN], matrix=matrix, size=size).write(tmp_path / "clip.mp4")
    assert_shown(source, tmp_path, GREEN_8_BIT)


@pytest.mark.parametrize(
    ("size", "matrix", "tags"),
    [
        pytest.param(SD, 1, (1, 1, 1), id="BT.709 in SD"),
        pytest.param(HD, 6, (6, 6, 6), id="BT.601 in HD"),
        pytest.param(HD, 5, (5, 6, 5), id="BT.601 of 625 lines in HD"),
        pytest.param(SD, 1, (1, UNSPECIFIED, UNSPECIFIED), id="primaries alone"),
        pytest.param(HD, 6, (6, UNSPECIFIED, UNSPECIFIED), id="primaries of BT.601 alone"),
        pytest.param(SD, 1, (UNSPECIFIED, UNSPECIFIED, 1), id="matrix alone"),
        pytest.param(HD, 1, (UNSPECIFIED, 1, UNSPECIFIED), id="transfer alone"),
        pytest.param(HD, 1, (3, 3, 3), id="reserved"),
        pytest.param(SD, 6, (UNSPECIFIED, UNSPECIFIED, 0), id="YUV that is described as RGB"),
    ],
)
def test_a_description_that_is_unusual_or_not_whole(
    tmp_path: Path, size: tuple[int, int], matrix: int, tags: Tags
) -> None:
    clip = ColourClip(stripes=[GREEN], matrix=matrix, tags=tags, size=size)
    # H.264 in Matroska: its decoder takes the description of the stream itself.
    assert_shown(clip.write(tmp_path / "clip.mkv"), tmp_path, GREEN_8_BIT)


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuv420p"])
def test_the_full_range_of_screen_recordings(tmp_path: Path, pixel_format: str) -> None:
    stripes = [GREEN, (1, 1, 1), (0, 0, 0), (0.5, 0.5, 0.5)]
    clip = ColourClip(stripes=stripes, full_range=True, size=HD, pixel_format=pixel_format)
    expected = (GREEN_8_BIT, (255, 255, 255), (0, 0, 0), (128, 128, 128))
    assert_shown(clip.write(tmp_path / "screen.mp4"), tmp_path, *expected)


@pytest.mark.parametrize(
    ("pixel_format", "codec", "name"), [("gbrp", "utvideo", "screen.avi"), ("gbrp10le", "ffv1", "screen.mkv")]
)
def test_rgb(tmp_path: Path, pixel_format: str, codec: str, name: str) -> None:
    source = ColourClip(stripes=[GREEN, (1, 0, 0)], codec=codec, pixel_format=pixel_format).write(
        tmp_path / name
    )
    assert_shown(source, tmp_path, GREEN_8_BIT, (255, 0, 0), encodes_original=True)


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv422p10le", "yuv444p10le"])
def test_the_pixel_formats_of_cameras(tmp_path: Path, pixel_format: str) -> None:
    clip = ColourClip(stripes=[GREEN, (1, 0, 0)], pixel_format=pixel_format, tags=(1, 1, 1))
    assert_shown(clip.write(tmp_path / "camera.mov"), tmp_path, GREEN_8_BIT, (255, 0, 0))


def in_bt_2020(red: float, green: float, blue: float) -> Parts:
    """Light of BT.709's primaries as that of BT.2020's (ITU-R BT.2087)."""
    return (
        0.6274 * red + 0.3293 * green + 0.0433 * blue,
        0.0691 * red + 0.9195 * green + 0.0114 * blue,
        0.0164 * red + 0.0880 * green + 0.8956 * blue,
    )


def srgb(light: float) -> float:
    return 1.055 * math.pow(light, 1 / 2.4) - 0.055


@pytest.mark.parametrize("tagged_matrix", [9, 10, UNSPECIFIED])
def test_bt_2020_in_the_standard_range(tmp_path: Path, tagged_matrix: int) -> None:
    stripes: list[Parts] = []
    for light in ((0.2, 0.2, 0.2), (0.6, 0.1, 0.1)):
        red, green, blue = in_bt_2020(*light)
        stripes.append((srgb(red), srgb(green), srgb(blue)))
    clip = ColourClip(stripes=stripes, matrix=9, tags=(9, 14, tagged_matrix), pixel_format="yuv420p10le")
    source = clip.write(tmp_path / "uhd.mkv")
    assert_shown(source, tmp_path, (124, 124, 124), (203, 89, 89), encodes_original=True)


# ITU-R BT.2408, table 1: a grey card, white of the standard range, and the nominal peak of HLG's display.
PQ_LEVELS, HLG_LEVELS = (0.38, 0.58, 0.7518), (0.38, 0.75, 1.0)


@pytest.mark.parametrize(
    ("transfer", "levels"), [pytest.param(16, PQ_LEVELS, id="PQ"), pytest.param(18, HLG_LEVELS, id="HLG")]
)
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_hdr_has_the_brightness_of_the_standard_range(
    tmp_path: Path, codec: str, transfer: int, levels: tuple[float, ...]
) -> None:
    stripes = [(level, level, level) for level in (*levels, 0)]
    tags = (9, transfer, 9)
    clip = ColourClip(
        stripes=stripes, matrix=9, tags=tags, pixel_format="yuv420p10le", codec=codec,
        options={"x265-params": "log-level=none"} if codec == "libx265" else {},
    )  # fmt: skip
    source = clip.write(tmp_path / "hdr.mp4")
    # 18 % grey is below the knee; white is a little darker than it is without highlights.
    expected = (100, 100, 100), (215, 215, 215), (255, 255, 255), (0, 0, 0)
    assert_shown(source, tmp_path, *expected, tolerance=6, encodes_original=True)


def test_hdr_in_eight_bits_is_not_passed_on_as_it_is(tmp_path: Path) -> None:
    clip = ColourClip(stripes=[(0.75, 0.75, 0.75)], matrix=9, tags=(9, 18, 9))
    assert_shown(clip.write(tmp_path / "hlg.mp4"), tmp_path, (215, 215, 215), encodes_original=True)


@pytest.mark.parametrize("tags", [(UNSPECIFIED, 18, UNSPECIFIED), (UNSPECIFIED, 18, 9), (9, 18, UNSPECIFIED)])
def test_hdr_that_is_described_in_part(tmp_path: Path, tags: Tags) -> None:
    # Red of BT.709, as bright as a grey card, on HLG's display: the inverse OOTF, then the OETF.
    red, green, blue = in_bt_2020(26 / 1000, 0, 0)
    gain = 3 * math.pow(0.2627 * red + 0.6780 * green + 0.0593 * blue, 1 / 1.2 - 1)
    red, green, blue = math.sqrt(gain * red), math.sqrt(gain * green), math.sqrt(gain * blue)
    clip = ColourClip(stripes=[(red, green, blue)], matrix=9, tags=tags, pixel_format="yuv420p10le")
    assert_shown(clip.write(tmp_path / "hlg.mkv"), tmp_path, (100, 0, 0), tolerance=6, encodes_original=True)


def test_colours_that_change_within_a_stream(tmp_path: Path) -> None:
    first = ColourClip(stripes=[GREEN], matrix=1, tags=(1, 1, 1), size=SD)
    second = ColourClip(
        stripes=[GREEN], matrix=6, tags=(6, 6, 6), size=SD, muxer_options={"output_ts_offset": "1"}
    )
    parts = first.write(tmp_path / "first.ts"), second.write(tmp_path / "second.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    stream = stream_of(joined, tmp_path, HlsStreamingParams(variants=VARIANTS))
    for name in ("720p-900", "240p-300"):
        frames = stream.playlist(name).frames
        assert len(frames) == 10
        for frame in frames:
            assert_close(streamed_pixel(frame, 0.5, 0.5), GREEN_8_BIT, 5)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "name", "left"),
    [
        pytest.param("qtrle", "argb", "logo.mov", (0, 0, 0), id="QuickTime animation"),
        pytest.param("png", "rgba", "logo.mov", (0, 0, 0), id="PNG"),
        pytest.param("prores_ks", "yuva444p10le", "logo.mov", (0, 0, 0), id="ProRes 4444"),
        pytest.param("ffv1", "yuva420p", "logo.mkv", (0, 0, 0), id="FFV1"),
        pytest.param("rawvideo", "bgra", "screen.avi", (255, 255, 255), id="Windows bitmaps"),
    ],
)
def test_what_is_transparent_is_black(
    tmp_path: Path, codec: str, pixel_format: str, name: str, left: tuple[int, int, int]
) -> None:
    source = tmp_path / name
    with av.open(str(source), mode="w") as container:
        video = container.add_stream(codec, rate=5)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *SD, pixel_format
        picture = Image.new("RGBA", SD, (255, 255, 255, 0))
        picture.paste((0, 191, 64, 255), (SD[0] // 2, 0, *SD))
        frame = VideoFrame.from_bytes(picture.tobytes(), *SD).reformat(format=pixel_format)
        frame.pts, frame.time_base = 0, Fraction(1, 5)
        for packets in (video.encode(frame), video.encode(None)):  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType] - PyAV leaves its packets' type open
            container.mux(packets)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    assert_shown(source, tmp_path, left, GREEN_8_BIT, encodes_original=True)


def test_a_matrix_that_is_not_supported_is_a_warning(tmp_path: Path) -> None:
    source = ColourClip(stripes=[GREEN], tags=(1, 1, 8), size=SD).write(tmp_path / "screen.mkv")
    thumbnail = TaskContext(
        MediaThumbnailParams(), source, tmp_path / "thumbnail.jpg", tmp_path, lambda _: None
    )
    _ = media_thumbnail.run(thumbnail)
    stream = TaskContext(
        HlsStreamingParams(variants=VARIANTS), source, tmp_path / "stream", tmp_path, lambda _: None
    )
    _ = hls_streaming.run(stream)
    expected = "the video's colour matrix is not supported (H.273, number 8): wrong colours"
    assert thumbnail.warnings == stream.warnings == [expected]
