"""What the media tasks cost beside other programs that do the same, in one run.

Thumbnails beside ``vipsthumbnail`` (Debian's libvips-tools), pixel hashes beside Pillow and hashlib, HLS
beside ``ffmpeg`` with the same settings. A photo's cost is that of each further one in a process, as a worker
stays.
"""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import av
import numpy as np
import pillow_heif
from av.video.frame import VideoFrame
from figures import Figure, medians
from PIL import Image
from process_costs import cost_of, task_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cl_client.models import JSONObject

_FORMATS: Final = ("jpg", "png", "webp", "avif", "heic")
_MIB_PER_GB: Final = 1e9 / 2**20
_HUGE_SIDE: Final = 22_000
_VARIANTS: Final = ((1280, 720, 3500), (854, 480, 1500))
"""Width, height, and kbit per second."""
_PLAIN_HASHES: Final = """
import hashlib, sys
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
for _ in range(int(sys.argv[2])):
    with Image.open(sys.argv[1]) as image:
        hashlib.sha512(image.tobytes()).hexdigest()
"""


class _PerPhoto(NamedTuple):
    cpu_ms: float
    peak_mib: float


def draw(folder: Path) -> None:
    """Draw a photo of 24 megapixels in all formats, and a video of 10 s.

    Args:
        folder: Where to.
    """
    columns, rows = np.meshgrid(np.arange(6000), np.arange(4000))
    noise = np.random.default_rng(0).integers(0, 16, (4000, 6000, 1))
    light = np.stack([columns // 24, rows // 16, (columns + rows) // 40], axis=-1) % 230
    pixels = (light + noise).astype(np.uint8)
    photo = Image.fromarray(pixels)
    pillow_heif.register_heif_opener()
    photo.save(folder / "photo.jpg", quality=92)
    photo.save(folder / "photo.png", compress_level=1)
    photo.save(folder / "photo.webp", quality=80, method=1)
    photo.save(folder / "photo.avif", quality=60, speed=9)
    photo.save(folder / "photo.heic", quality=60)
    with av.open(str(folder / "video.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for index in range(300):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels[8 * index :][:1080, :1920]))
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        container.mux(stream.encode(None))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open


def draw_huge(file: Path, side: int) -> None:
    """Write a PNG with transparency, row by row.

    Args:
        file: The file.
        side: Width and height in pixels.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    at = np.arange(side)
    with file.open("wb") as stream:
        stream.write(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
        )
        packer, line = zlib.compressobj(1), b""
        for row in range(side):
            if row % 64 == 0:
                colours = [at * (row // 64) // 50, at // 90 + row // 8, 255 - at // 100, at * 3 * 255 // side]
                line = b"\0" + np.stack(colours, axis=-1).clip(0, 10**9).astype(np.uint8).tobytes()
            stream.write(chunk(b"IDAT", packer.compress(line)))
        stream.write(chunk(b"IDAT", packer.flush()) + chunk(b"IEND", b""))


def _per_photo(command: Callable[[int], Sequence[str | Path]], times: int) -> _PerPhoto:
    first, many = cost_of(command(1)), cost_of(command(1 + times))
    return _PerPhoto(1000 * (many.cpu_seconds - first.cpu_seconds) / times, many.peak_mib)


def _alternated(
    commands: Sequence[Callable[[int], Sequence[str | Path]]], turns: int, times: int
) -> list[_PerPhoto]:
    rows = [[_per_photo(command, times) for command in commands] for _ in range(turns)]
    return [_PerPhoto(*medians([row[number] for row in rows])) for number in range(len(commands))]


def _thumbnail(folder: Path, extension: str, turns: int, times: int) -> list[Figure]:
    photo = folder / f"photo.{extension}"
    vips = shutil.which("vipsthumbnail")
    os.environ["VIPS_WARNING"] = "0"  # it warns of each HEIC

    def ours(count: int) -> list[str]:
        return task_command("media_thumbnail", photo, {"width": 256, "height": 256}, count)

    def theirs(count: int) -> list[str | Path]:
        # Each under its own name: libvips would not do the same again.
        photos = [folder / f"{number}.{extension}" for number in range(count)]
        for one in photos:
            if not one.exists():
                one.hardlink_to(photo)
        return [vips or "", *photos, "-s", "256", "-o", folder / "vips-%s.jpg[Q=85]"]

    found = _alternated([ours, theirs] if vips else [ours], turns, times)
    own, peer = found[0], found[-1]
    name = f"thumbnail of a {extension} of 24 megapixels"
    is_target = extension == "jpg"
    figures = [Figure(f"{name}, peak memory", own.peak_mib, "MiB", 100 / 1.048576 if is_target else None)]
    if vips is None:
        return [Figure(f"{name} (vipsthumbnail is not installed)", own.cpu_ms, "CPU ms"), *figures]
    details: JSONObject = {
        "CPU ms": round(own.cpu_ms),
        "vips": round(peer.cpu_ms),
        "vips MiB": round(peer.peak_mib),
    }
    ratio = own.cpu_ms / peer.cpu_ms
    return [
        Figure(f"{name} against vipsthumbnail", ratio, "x", 1.3 if is_target else None, details=details),
        *figures,
    ]


def _pixel_hash(folder: Path, turns: int, times: int) -> list[Figure]:
    photo = folder / "photo.jpg"
    own, peer = _alternated(
        [
            lambda count: task_command("hash", photo, {"algorithm": "sha512"}, count),
            lambda count: [sys.executable, "-c", _PLAIN_HASHES, photo, str(count)],
        ],
        turns,
        times,
    )
    cpu: JSONObject = {"CPU ms": round(own.cpu_ms), "plain": round(peer.cpu_ms)}
    memory: JSONObject = {"MiB": round(own.peak_mib), "plain": round(peer.peak_mib)}
    return [
        Figure(
            "pixel hash of 24 megapixels against Pillow and hashlib",
            own.cpu_ms / peer.cpu_ms,
            "x",
            1.1,
            details=cpu,
        ),
        Figure("the same, peak memory", own.peak_mib / peer.peak_mib, "x", 1.1, details=memory),
    ]


def _huge(folder: Path, side: int) -> list[Figure]:
    file = folder / "huge.png"
    command = f"import task_peers; task_peers.draw_huge(__import__('pathlib').Path({str(file)!r}), {side})"
    _run_here(command)
    target = 2.2 if side == _HUGE_SIDE else None
    cases: dict[str, tuple[str, JSONObject]] = {
        "thumbnail": ("media_thumbnail", {"width": 256}),
        "conversion to PNG": ("image_conversion", {"format": "png"}),
        "pixel hash": ("hash", {"algorithm": "sha512"}),
    }
    figures: list[Figure] = []
    for name, (task, params) in cases.items():
        cost = cost_of(task_command(task, file, params))
        details: JSONObject = {"CPU s": round(cost.cpu_seconds, 1)}
        peak = cost.peak_mib / _MIB_PER_GB
        figures.append(
            Figure(
                f"{name} of a PNG of {side:,} x {side:,}, RGBA, peak memory",
                peak,
                "GB",
                target,
                details=details,
            )
        )
    return figures


def _ffmpeg_command(ffmpeg: str, video: Path, folder: Path) -> list[str | Path]:
    numbers = range(len(_VARIANTS))
    scales = [
        f"[s{n}]scale={width}:{height}:flags=bicubic[v{n}]" for n, (width, height, _) in enumerate(_VARIANTS)
    ]
    graph = ";".join([f"[0:v]split={len(_VARIANTS)}{''.join(f'[s{n}]' for n in numbers)}", *scales])
    rates = [
        word
        for n, (_, _, rate) in enumerate(_VARIANTS)
        for word in (
            f"-b:v:{n}",
            f"{rate}k",
            f"-maxrate:v:{n}",
            f"{rate * 3 // 2}k",
            f"-bufsize:v:{n}",
            f"{rate * 2}k",
        )
    ]
    return [
        *(ffmpeg, "-v", "error", "-y", "-i", video, "-filter_complex", graph),
        *(word for n in numbers for word in ("-map", f"[v{n}]")),
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p"),
        *("-sc_threshold", "0", "-x264-params", "keyint=infinite", "-forced-idr", "1"),
        *("-force_key_frames", "expr:gte(t,n_forced*2)", *rates),
        *("-f", "hls", "-hls_time", "2", "-hls_list_size", "0"),
        *("-hls_segment_filename", folder / "%v-%03d.ts", "-master_pl_name", "adaptive.m3u8"),
        *("-var_stream_map", " ".join(f"v:{n}" for n in numbers), folder / "%v.m3u8"),
    ]


def _hls(folder: Path, turns: int) -> list[Figure]:
    video, ffmpeg = folder / "video.mp4", shutil.which("ffmpeg")
    variants: list[JSONObject] = [{"resolution": height, "bitrate": rate} for _, height, rate in _VARIANTS]
    ours = task_command("hls_streaming", video, {"variants": [*variants], "include_original": False})
    if ffmpeg is None:
        return [Figure("HLS (ffmpeg is not installed)", cost_of(ours).cpu_seconds, "CPU s")]
    theirs = _ffmpeg_command(ffmpeg, video, folder)
    rows = [(cost_of(ours), cost_of(theirs)) for _ in range(turns)]
    figures: list[Figure] = []
    for name, target, pairs in (
        ("CPU", 1.2, [(own.cpu_seconds, peer.cpu_seconds) for own, peer in rows]),
        ("wall", 1.0, [(own.seconds, peer.seconds) for own, peer in rows]),
    ):
        ratio = statistics.median(own / peer for own, peer in pairs)
        details: JSONObject = {
            "s": round(statistics.median(own for own, _ in pairs), 1),
            "ffmpeg": round(statistics.median(peer for _, peer in pairs), 1),
        }
        figures.append(
            Figure(
                f"HLS of 10 s in two qualities against ffmpeg, {name}", ratio, "x", target, details=details
            )
        )
    return figures


def _run_here(code: str) -> None:
    """Run code in another process, so that this one stays small."""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True)  # noqa: S603 - this module


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns, and a smaller PNG.

    Returns:
        The figures.
    """
    turns, times = (1, 3) if quick else (5, 10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run_here(f"import task_peers; task_peers.draw(__import__('pathlib').Path({name!r}))")
        figures = [figure for one in _FORMATS for figure in _thumbnail(folder, one, turns, times)]
        figures += _pixel_hash(folder, turns, times)
        figures += _hls(folder, turns)
        return figures + _huge(folder, _HUGE_SIDE // 4 if quick else _HUGE_SIDE)
