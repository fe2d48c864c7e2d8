"""HLS playlists: the master, and the lengths of segments in media playlists (RFC 8216)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_EXTINF: Final = re.compile(r"(?<=#EXTINF:)[\d.]+(?=,)")
_TARGET: Final = re.compile(r"(?<=#EXT-X-TARGETDURATION:)\d+")
_NAMED: Final = re.compile(r"^[^#\s].*$", re.MULTILINE)

_NULL_PACKET: Final = b"\x47\x1f\xff\x10" + b"\xff" * 184
"""A packet of MPEG-TS that players skip (ISO/IEC 13818-1, 2.4.3.3)."""
_SURE_PACKETS: Final = 12
"""FFmpeg takes a file with fewer packets for something else."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a rendition.

    Attributes:
        seconds: Its duration.
        bits: Its size.
    """

    seconds: float
    bits: int


@dataclass(frozen=True, slots=True)
class Variant:
    """What the master playlist says about a rendition.

    Attributes:
        playlist: The name of its media playlist.
        width: In pixels.
        height: In pixels.
        frame_rate: Frames per second.
        codecs: The codecs of its streams, as in RFC 6381.
    """

    playlist: str
    width: int
    height: int
    frame_rate: float
    codecs: Sequence[str]


def finish_playlist(playlist: Path, *, lead: float, total: float) -> None:
    """Make a media playlist last as long as what it plays, and its segments readable for FFmpeg.

    FFmpeg measures segments by the times of video frames: it does not count audio before the first frame and
    after the last, and takes the last frame to be as long as the first.

    Args:
        playlist: A media playlist that FFmpeg has written.
        lead: Seconds of audio before the first video frame.
        total: Seconds from the start of the first frame or audio to the end of the last.
    """
    text = playlist.read_text()
    seconds = _durations(text)
    seconds[0] += lead
    seconds[-1] = max(seconds[-1] if total <= sum(seconds[:-1]) else 0, total - sum(seconds[:-1]))
    corrected = iter(seconds)
    text = _EXTINF.sub(lambda _: f"{next(corrected):.6f}", text)
    text = _TARGET.sub(str(max(1, math.floor(max(seconds) + 0.5))), text)  # rounded (RFC 8216, 4.3.3.1)
    playlist.write_text(text)
    for name in _NAMED.finditer(text):
        _fill_up(playlist.with_name(name[0]))


def _fill_up(segment: Path) -> None:
    missing = _SURE_PACKETS - segment.stat().st_size // len(_NULL_PACKET)
    if missing > 0:
        with segment.open("ab") as file:
            file.write(_NULL_PACKET * missing)


def write_master(path: Path, variants: Iterable[Variant]) -> None:
    """Write the master playlist, which lists the variants for players to choose from.

    FFmpeg's own leaves out variants without a segment of at least half a second.

    Args:
        path: The file to write, next to the media playlists.
        variants: The variants; most players start with the first.
    """
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in variants:
        segments = list(_segments(path.with_name(variant.playlist)))
        attributes = {
            "BANDWIDTH": str(_peak_bandwidth(segments)),
            "AVERAGE-BANDWIDTH": str(_bandwidth(segments)),
            "CODECS": f'"{",".join(variant.codecs)}"',
            "RESOLUTION": f"{variant.width}x{variant.height}",
            "FRAME-RATE": f"{variant.frame_rate:.3f}",
        }
        stream = ",".join(f"{name}={value}" for name, value in attributes.items())
        lines += [f"#EXT-X-STREAM-INF:{stream}", variant.playlist]
    path.write_text("\n".join(lines) + "\n")


def _segments(playlist: Path) -> Iterator[Segment]:
    text = playlist.read_text()
    for seconds, name in zip(_durations(text), _NAMED.finditer(text), strict=True):
        yield Segment(seconds, 8 * playlist.with_name(name[0]).stat().st_size)


def _durations(playlist: str) -> list[float]:
    return [float(written[0]) for written in _EXTINF.finditer(playlist)]


def _bandwidth(segments: Sequence[Segment]) -> int:
    return math.ceil(sum(part.bits for part in segments) / sum(part.seconds for part in segments))


def _peak_bandwidth(segments: Sequence[Segment]) -> int:
    """The largest bit rate of neighbouring segments that last 0.5 to 1.5 target durations (RFC 8216, 4.1)."""
    target = max(part.seconds for part in segments)
    peak = 0
    for first in range(len(segments)):
        lasting = accumulate(part.seconds for part in segments[first:])
        for count, seconds in enumerate(lasting, start=1):
            if seconds > 1.5 * target:
                break
            if seconds >= 0.5 * target:
                peak = max(peak, _bandwidth(segments[first : first + count]))
    return peak
