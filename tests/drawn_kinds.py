"""Small files of many kinds, each with the MIME types that are right for it."""

from __future__ import annotations

import io
import itertools
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import av
import numpy as np
import pillow_heif
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Kind(NamedTuple):
    """A file, and the types that are right for it, the best one first."""

    name: str
    content: bytes
    types: tuple[str, ...]


UNKNOWN: Final = "application/octet-stream"

_JPEG: Final = ("image/jpeg",)
_TIFF: Final = ("image/tiff",)
_MP4: Final = ("video/mp4",)
_TS: Final = ("video/mp2t",)
_PICTURES: Final[dict[str, tuple[str, ...]]] = {
    "JPEG": _JPEG,
    "MPO": ("image/jpeg", "image/mpo"),
    "PNG": ("image/png",),
    "GIF": ("image/gif",),
    "WEBP": ("image/webp",),
    "BMP": ("image/bmp", "image/x-ms-bmp"),
    "TIFF": _TIFF,
    "JPEG2000": ("image/jp2",),
    "AVIF": ("image/avif",),
    "ICO": ("image/vnd.microsoft.icon", "image/x-icon"),
    "ICNS": ("image/icns", "image/x-icns"),
    "DDS": ("image/vnd-ms.dds", "image/vnd.ms-dds", "image/x-dds", "image/dds"),
    "PPM": ("image/x-portable-pixmap",),
    "PDF": ("application/pdf",),
}
_VIDEOS: Final[dict[str, tuple[str, ...]]] = {
    "mp4": _MP4,
    "mov": ("video/quicktime",),
    "ipod": ("video/x-m4v", "video/mp4"),
    "3gp": ("video/3gpp", "video/3gp"),
    "3g2": ("video/3gpp2", "video/3gpp"),
    "matroska": ("video/x-matroska", "video/matroska"),
    "webm": ("video/webm",),
    "avi": ("video/x-msvideo", "video/vnd.avi", "video/avi"),
    "mpegts": _TS,
    "mpeg": ("video/mpeg",),
    "vob": ("video/mpeg", "video/mp2p"),
    "flv": ("video/x-flv",),
    "asf": ("video/x-ms-asf", "video/x-ms-wmv", "application/vnd.ms-asf"),
    "mxf": ("application/mxf",),
}
_CODECS: Final = {
    "webm": "libvpx",
    "flv": "flv",
    "mpeg": "mpeg1video",
    "vob": "mpeg2video",
    "asf": "wmv2",
    "mxf": "mpeg2video",
}
_SOUNDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "wav": ("pcm_s16le", ("audio/vnd.wave", "audio/x-wav", "audio/wav", "audio/wave")),
    "mp3": ("libmp3lame", ("audio/mpeg",)),
    "flac": ("flac", ("audio/flac", "audio/x-flac")),
    "adts": ("aac", ("audio/aac", "audio/x-aac", "audio/x-hx-aac-adts")),
    "aiff": ("pcm_s16be", ("audio/x-aiff", "audio/aiff")),
    "ogg": ("flac", ("audio/ogg", "application/ogg")),
}
_BRANDS: Final[dict[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    # ISO/IEC 23008-12: the types of image items and sequences, by the coding; mif1 and msf1 name none.
    ("image/heic", "image/heif"): (
        ("heic", "mif1"),
        ("heix", "mif1", "miaf"),
        ("mif1", "heic", "hevc"),
        ("heim",),
    ),
    ("image/heif", "image/heic"): (("mif1",), ("mif1", "miaf"), ("mif2", "mif1")),
    ("image/heic-sequence", "image/heic", "image/heif"): (
        ("hevc", "msf1"),
        ("msf1", "hevc", "iso8"),
        ("hevx",),
    ),
    ("image/heif-sequence", "image/heif"): (("msf1", "iso8"), ("msf1",)),
    ("image/avif",): (
        ("avif", "mif1", "miaf"),
        ("avis", "avif", "msf1"),
        ("mif1", "avif", "miaf"),
        ("miaf", "avif"),
        ("mif1", "miaf", "MA1A", "avif"),
        ("avif",),
        ("msf1", "avis"),
        ("avio", "avif", "mif1"),
    ),
    ("image/avci", "image/heif"): (("avci", "mif1"),),
    _MP4: (
        ("isom", "iso2", "avc1", "mp41"),
        ("mp42", "isom"),
        ("mp42",),
        ("avc1", "isom"),
        ("iso5", "dash"),
        ("iso6", "cmfc"),
        ("XAVC", "mp42", "iso2"),
        ("MSNV", "mp42"),
        ("iso8", "av01"),
        ("iso4", "hev1"),
        ("mp41", "mp42", "isom"),
        ("dash", "iso6"),
        ("CAEP", "mp42"),
        ("hvc1", "isom"),
        ("mmp4", "isom"),
    ),
    ("video/x-m4v", "video/mp4"): (("M4V ", "M4A ", "mp42", "isom"), ("M4VH", "isom"), ("M4VP",)),
    ("video/quicktime",): (("qt  ",), ("qt  ", "pana"), ("qt  ", "CAEP"), ("qt  ", "niko")),
    ("audio/mp4", "audio/x-m4a"): (("M4A ", "mp42", "isom"), ("M4B ", "isom")),
    ("video/3gpp", "video/3gp", "video/mp4"): (
        ("3gp4", "isom"),
        ("3gp5", "isom"),
        ("3gp6", "3gp4"),
        ("3gr6", "3gp6"),
    ),
    ("video/3gpp2", "video/3gpp"): (("3g2a", "3gp5"),),
    ("image/x-canon-cr3",): (("crx ", "isom"),),
    ("image/jp2",): (),
}


def _picture() -> Image.Image:
    noise = np.random.default_rng(7).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def _saved(image_format: str, **options: object) -> bytes:
    output = io.BytesIO()
    image = _picture().resize((32, 32)) if image_format in {"ICO", "ICNS"} else _picture()
    image.save(output, image_format, **options)
    return output.getvalue()


def pictures() -> Iterator[Kind]:
    """What Pillow and pillow-heif write."""
    for image_format, types in _PICTURES.items():
        yield Kind(image_format, _saved(image_format), types)
    yield Kind("WEBP lossless", _saved("WEBP", lossless=True), ("image/webp",))
    yield Kind(
        "JPEG 2000 codestream",
        _saved("JPEG2000", no_jp2=True),
        ("image/x-jp2-codestream", "image/j2c", "image/jp2"),
    )
    pillow_heif.register_heif_opener()
    yield Kind("HEIC", _saved("HEIF"), ("image/heic", "image/heif"))


def brands() -> Iterator[Kind]:
    """Files of the ISO base media format, by their brands; the compatible ones in each order."""
    for types, lists in _BRANDS.items():
        for major, *others in lists:
            for order in itertools.permutations(others, min(len(others), 3)):
                rest = "".join((major, *order)).encode()
                box = struct.pack(">I", 16 + len(rest)) + b"ftyp" + major.encode() + bytes(4) + rest
                yield Kind(f"ftyp {major} {' '.join(order)}", box + b"\0\0\0\x20free" + bytes(200), types)


def raw_files() -> Iterator[Kind]:
    """The beginnings of camera RAW files, as ExifTool and LibRaw tell them."""
    entries = struct.pack("<HHHII", 1, 0x10F, 2, 14, 26) + bytes(4) + b"Example Works\0"
    tiff = b"II*\0\x08\0\0\0" + entries + bytes(2000)
    yield Kind("TIFF-based RAW", tiff, _TIFF)
    yield Kind("TIFF-based RAW, big-endian", b"MM\0*\0\0\0\x08" + bytes(2000), _TIFF)
    yield Kind("BigTIFF", b"II+\0\x08\0\0\0" + bytes(2000), _TIFF)
    yield Kind("CR2", b"II*\0\x10\0\0\0CR\x02\0" + bytes(2000), ("image/x-canon-cr2", "image/tiff"))
    yield Kind("CRW", b"II\x1a\0\0\0HEAPCCDR" + bytes(2000), ("image/x-canon-crw",))
    yield Kind(
        "RAF", b"FUJIFILMCCD-RAW 0201FF383501" + bytes(2000), ("image/x-fujifilm-raf", "image/x-fuji-raf")
    )
    yield Kind("ORF", b"IIRO\x08\0\0\0" + entries + bytes(2000), ("image/x-olympus-orf",))
    yield Kind("ORF, older", b"IIRS\x08\0\0\0" + entries + bytes(2000), ("image/x-olympus-orf",))
    yield Kind("ORF, big-endian", b"MMOR\0\0\0\x08" + bytes(2000), ("image/x-olympus-orf",))
    yield Kind("RW2", b"IIU\0\x18\0\0\0" + bytes(2000), ("image/x-panasonic-rw2", "image/x-panasonic-raw"))
    yield Kind("X3F", b"FOVb\0\0\x02\0" + bytes(2000), ("image/x-sigma-x3f", "image/x-x3f"))
    yield Kind("MRW", b"\0MRM\0\0\x01\0\0PRD" + bytes(2000), ("image/x-minolta-mrw",))


def other_pictures() -> Iterator[Kind]:
    """The beginnings of pictures that Pillow does not write."""
    yield Kind(
        "JPEG XL codestream", b"\xff\x0a\xdd\x06\x00\x12\x88\x02\x00" + bytes(range(1, 200)), ("image/jxl",)
    )
    yield Kind(
        "JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl " + bytes(99), ("image/jxl",)
    )
    box = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftyp"
    yield Kind("JPX", box + b"jpx \0\0\0\0jpx " + bytes(99), ("image/jpx",))
    yield Kind("Motion JPEG 2000", box + b"mjp2\0\0\0\0mjp2" + bytes(99), ("video/mj2",))
    yield Kind("Photoshop", b"8BPS\0\x01" + bytes(200), ("image/vnd.adobe.photoshop", "image/x-photoshop"))
    yield Kind("OpenEXR", b"\x76\x2f\x31\x01\x02\0\0\0channels\0" + bytes(200), ("image/x-exr", "image/aces"))
    yield Kind(
        "Radiance",
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n",
        ("image/vnd.radiance", "image/x-hdr"),
    )
    yield Kind(
        "SVG",
        b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>\n',
        ("image/svg+xml", "image/svg", "application/xml"),
    )
    for marker in (0xE0, 0xE1, 0xDB, 0xEE, 0xFE, 0xED, 0xE2, 0xC0):
        yield Kind(f"JPEG {marker:X}", b"\xff\xd8\xff%c\0\x10" % marker + bytes(20) + b"\xff\xd9", _JPEG)


def _video(container_format: str, **options: str) -> bytes:
    output = io.BytesIO()
    with av.open(output, "w", format=container_format, options=options) as container:
        video = container.add_stream(_CODECS.get(container_format, "mpeg4"), rate=25)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for frame in itertools.chain(_frames(10), (None,)):
            container.mux(video.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    return output.getvalue()


def _frames(count: int) -> Iterator[VideoFrame]:
    for at in range(count):
        frame = VideoFrame(64, 48, "yuv420p")
        frame.pts = at
        yield frame


def videos() -> Iterator[Kind]:
    """What FFmpeg writes; transport streams of camcorders and receivers; QuickTime of the nineties."""
    for container_format, types in _VIDEOS.items():
        yield Kind(container_format, _video(container_format), types)
    stream = _video("mpegts")
    yield Kind("AVCHD", _video("mpegts", mpegts_m2ts_mode="1"), _TS)
    yield Kind("MPEG-TS cut at 100", stream[100:], _TS)
    packets = [stream[at : at + 188] for at in range(0, len(stream), 188)]
    yield Kind("MPEG-TS of 204 bytes", b"".join(packet + bytes(16) for packet in packets), _TS)
    yield Kind("MPEG-TS, one packet", stream[:188], (*_TS, UNKNOWN))
    clip = _video("mov")
    box = int.from_bytes(clip[:4])
    for name in ("wide", "free", "skip"):
        yield Kind(
            f"QuickTime without ftyp, {name}",
            b"\0\0\0\x08" + name.encode() + clip[box + 8 :],
            ("video/quicktime",),
        )
    yield Kind("QuickTime, movie first", clip[clip.index(b"moov") - 4 :], ("video/quicktime",))
    yield Kind(
        "QuickTime, data first",
        b"\0\0\x08\0mdat" + bytes(2040) + clip[clip.index(b"moov") - 4 :],
        ("video/quicktime",),
    )
    yield Kind(
        "MPEG-2 elementary",
        b"\0\0\1\xb3\x2d\x02\x40\x33\x24\x9f\x23\x81" + bytes(99),
        ("video/mpeg", "video/mpv"),
    )


def sounds() -> Iterator[Kind]:
    """Sound files."""
    for container_format, (codec, types) in _SOUNDS.items():
        output = io.BytesIO()
        with av.open(output, "w", format=container_format) as container:
            sound = container.add_stream(codec, rate=48_000)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
            assert isinstance(sound, av.AudioStream)
            sound.layout = "mono"
            frame = AudioFrame(format="s16", layout="mono", samples=48_000)
            frame.sample_rate, frame.pts = 48_000, 0
            frame.planes[0].update(np.random.default_rng(3).bytes(frame.planes[0].buffer_size))
            for piece in (frame, None):
                container.mux(sound.encode(piece))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        yield Kind(f"sound {container_format}", output.getvalue(), types)


def no_media() -> Iterator[Kind]:
    """What must not be taken for media."""
    unknown = (UNKNOWN,)
    yield Kind("text", b"Buy milk and bread.\n" * 9, ("text/plain", UNKNOWN))
    yield Kind("text that begins with G", b"Gold G G G\n" * 9, ("text/plain", UNKNOWN))
    yield Kind("G every 188 bytes", (b"G" + b"a" * 187) * 2, ("text/plain", UNKNOWN))
    yield Kind("zeros", bytes(500), unknown)
    yield Kind("noise", np.random.default_rng(5).integers(0, 255, 4096, dtype=np.uint8).tobytes(), unknown)
    yield Kind("one byte", b"\xff", unknown)
    yield Kind("a long ftyp", b"\xff\xff\xff\xffftypheic" + bytes(8), ("image/heic", "image/heif"))
    yield Kind("JSON", b'{"a": 1}\n', ("application/json", "text/plain", UNKNOWN))


ROOMS: Final[dict[str, Callable[[], Iterator[Kind]]]] = {
    "pictures that Pillow writes": pictures,
    "other pictures": other_pictures,
    "camera RAW": raw_files,
    "ISO base media, by brands": brands,
    "videos": videos,
    "sound": sounds,
    "no media": no_media,
}
