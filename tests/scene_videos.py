"""Videos of plain scenes: colours and tones of known length in any number of streams, cut or disabled."""

from __future__ import annotations

import heapq
import struct
from array import array
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from math import sin, tau
from typing import TYPE_CHECKING

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from av.container import OutputContainer

    from hls_playback import Playlist
    from pictures import Colour

SIZE = (160, 90)
FRAME_RATE = 25
SOUND_RATE = 48_000
_PART = 4800
_PACKET = 188
"""The size of a packet of MPEG-TS."""


@dataclass(frozen=True)
class Scenes:
    """A video stream.

    Attributes:
        scenes: Colours, each with its length in seconds.
        start: When the first is shown, in seconds.
        gaps: After which scenes (by index) nothing follows for how many seconds.
    """

    scenes: Sequence[tuple[Colour, float]]
    start: float = 0
    gaps: Mapping[int, float] | None = None
    codec: str = "libx264"
    keyframe_every: int = 50
    disposition: Disposition = Disposition.default

    def frames(self) -> Iterator[VideoFrame]:
        time = self.start
        for index, (colour, seconds) in enumerate(self.scenes):
            picture = Image.new("RGBA", SIZE, colour).tobytes()
            for count in range(round(seconds * FRAME_RATE)):
                frame = VideoFrame.from_bytes(picture, *SIZE).reformat(format="yuv420p")
                frame.pts, frame.time_base = round(time * FRAME_RATE) + count, Fraction(1, FRAME_RATE)
                yield frame
            time += seconds + (self.gaps or {}).get(index, 0)


@dataclass(frozen=True)
class Tones:
    """An audio stream.

    Attributes:
        tones: Frequencies, each with its length in seconds.
        start: When the first is heard, in seconds.
    """

    tones: Sequence[tuple[int, float]]
    start: float = 0
    codec: str = "aac"
    layout: str = "mono"
    rate: int = SOUND_RATE
    bit_rate: int = 64_000
    disposition: Disposition = Disposition.default

    def frames(self) -> Iterator[AudioFrame]:
        position = round(self.start * self.rate)
        for hz, seconds in self.tones:
            total = round(seconds * self.rate)
            for first in range(0, total, _PART):
                moments = range(first, min(first + _PART, total))
                wave = array("h", (round(12_000 * sin(tau * hz * moment / self.rate)) for moment in moments))
                frame = AudioFrame(format="s16", layout="mono", samples=len(wave))
                frame.planes[0].update(wave.tobytes())
                frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
                frame.pts = position
                yield frame
                position += len(wave)


def write_video(path: Path, *streams: Scenes | Tones, subtitle_end: float = 0, **options: str) -> Path:
    """Write streams into a file of the format that its name says.

    Args:
        path: The file.
        *streams: The streams, in order.
        subtitle_end: When the only subtitle ends, in seconds; 0 for no subtitles.
        **options: Options of FFmpeg's muxer.

    Returns:
        The file.
    """
    with av.open(str(path), mode="w", options=options) as container:
        added = [_add(container, stream) for stream in streams]
        subtitles = container.add_mux_stream("subrip") if subtitle_end else None  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        container.start_encoding()
        if subtitles is not None:
            container.mux(_subtitle(subtitles, subtitle_end))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        frames = [
            [(frame.time, index, frame) for frame in stream.frames()] for index, stream in enumerate(streams)
        ]
        for _, index, frame in heapq.merge(*frames):
            container.mux(added[index].encode(frame))  # pyright: ignore[reportUnknownMemberType, reportArgumentType] - PyAV leaves its packets' type open
        for output in added:
            container.mux(output.encode(None))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    return path


def with_wrong_display_time(source: Path, path: Path, *, at: int, seconds: float) -> Path:
    """Copy a video, with one video packet that says it is displayed much later.

    Args:
        source: The video.
        path: The copy.
        at: The number of the packet.
        seconds: How much later.

    Returns:
        The copy.
    """
    with av.open(str(source)) as container, av.open(str(path), mode="w") as copy:
        outputs = [copy.add_stream_from_template(stream) for stream in container.streams]  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        for packet in container.demux():
            if not packet.size:
                continue
            if packet.stream_index == 0:
                at -= 1
                if at == 0 and packet.pts is not None:
                    packet.pts += round(seconds / packet.time_base)
            packet.stream = outputs[packet.stream_index]
            copy.mux(packet)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
    return path


def _subtitle(stream: Stream, end: float) -> Packet[Stream]:
    packet: Packet[Stream] = Packet(b"Good night.")
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = 0
    packet.duration = round(end * 1000)
    return packet


def _add(container: OutputContainer, stream: Scenes | Tones) -> av.VideoStream | av.AudioStream:
    if isinstance(stream, Tones):
        sound = container.add_stream(stream.codec, rate=stream.rate, layout=stream.layout)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        assert isinstance(sound, av.AudioStream)
        sound.bit_rate = stream.bit_rate
        sound.disposition = stream.disposition
        return sound
    video = container.add_stream(stream.codec, rate=FRAME_RATE)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
    assert isinstance(video, av.VideoStream)
    video.width, video.height = SIZE
    video.pix_fmt = "yuv420p"
    video.gop_size = stream.keyframe_every
    video.disposition = stream.disposition
    if stream.codec == "libx264":
        video.options = {"preset": "ultrafast", "bf": "2", "sc_threshold": "0"}
    return video


def cut_by_edit_list(path: Path, start: float, seconds: float) -> Path:
    """Change the edit list of every track of an MP4 file, as a phone does that trims a video.

    Args:
        path: The file.
        start: The first second that is shown.
        seconds: How much is shown.

    Returns:
        The file.
    """
    content = bytearray(path.read_bytes())
    (movie_header,) = _boxes(content, "moov", "mvhd")
    (movie_scale,) = struct.unpack_from(">I", content, movie_header + 20)
    headers = [*_boxes(content, "moov", "trak", "mdia", "mdhd")]
    for header, edits in zip(headers, _boxes(content, "moov", "trak", "edts", "elst"), strict=True):
        (scale,) = struct.unpack_from(">I", content, header + 20)
        count, _, media_time = struct.unpack_from(">IIi", content, edits + 12)
        assert count == 1
        edit = round(seconds * movie_scale), media_time + round(start * scale)
        struct.pack_into(">Ii", content, edits + 16, *edit)
    path.write_bytes(content)
    return path


def disable_track(path: Path, index: int) -> Path:
    """Disable a track of an MP4 file.

    Args:
        path: The file.
        index: The number of the track, from 0 on.

    Returns:
        The file.
    """
    content = bytearray(path.read_bytes())
    header = [*_boxes(content, "moov", "trak", "tkhd")][index]
    content[header + 11] &= ~1
    path.write_bytes(content)
    return path


def _boxes(content: bytearray, *kinds: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    """The positions of all boxes with this path (ISO/IEC 14496-12, 4.2)."""
    while start < (len(content) if end is None else end):
        size, kind = struct.unpack_from(">I4s", content, start)
        if kind == kinds[0].encode():
            if len(kinds) == 1:
                yield start
            else:
                yield from _boxes(content, *kinds[1:], start=start + 8, end=start + size)
        start += size


def heard_in(playlist: Playlist) -> list[int]:
    """The loudest frequency in each tenth of a second, rounded to 100 Hz; 0 for silence."""
    parts = [np.zeros(0, dtype=np.float32)]
    with av.open(str(playlist.path)) as container:
        parts += [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    samples = np.concatenate(parts)
    window = SOUND_RATE // 10
    heard: list[int] = []
    for first in range(0, len(samples) - window + 1, window):
        loudness = np.abs(np.fft.rfft(samples[first : first + window])) / window
        loudest = int(loudness.argmax())
        heard.append(round(loudest * 10, -2) if loudness[loudest] > 0.01 else 0)
    return heard


def joined_programs(path: Path, programs: Mapping[int, tuple[int, Path]]) -> Path:
    """Join MPEG-TS files as several programs of one, as a tuner receives them.

    Args:
        path: The file to write.
        programs: The number of each program, the identifier of its map's packets, and its file.

    Returns:
        The file.
    """
    sections = b"".join(struct.pack(">HH", number, 0xE000 | pid) for number, (pid, _) in programs.items())
    table = struct.pack(">BHHBBB", 0, 0xB000 | len(sections) + 9, 1, 0xC1, 0, 0) + sections
    table += struct.pack(">I", _crc(table))
    allocation = (b"\x47\x40\x00\x10\x00" + table).ljust(_PACKET, b"\xff")
    packets = [iter(_packets(file.read_bytes())) for _, file in programs.values()]
    path.write_bytes(
        b"".join(
            allocation if packet[1:3] == b"\x40\x00" else packet
            for group in zip_longest(*packets)
            for packet in group
            if packet is not None and packet[1:3] != b"\x40\x11"
        )
    )
    return path


def _packets(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _PACKET):
        yield content[start : start + _PACKET]


def _crc(data: bytes) -> int:
    """The CRC of ISO/IEC 13818-1, annex A."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value
