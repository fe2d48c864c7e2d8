"""The original's rendition of an HLS stream, copied packet by packet where players can take it."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING

from av.error import FFmpegError
from av.video.stream import VideoStream

from cl_client.local.tasks.hls.hls_output import open_hls, playlist_name
from cl_client.local.tasks.hls.playlists import finish_playlist
from cl_client.local.tasks.hls.source import decodable_streams
from cl_client.local.tasks.hls.timing import ContinuousClock
from cl_client.local.tasks.videos.frame_converter import Turn
from cl_client.local.tasks.videos.opening import open_container

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

    from cl_client.local.tasks.hls.source import VideoFacts


def fits_unchanged(facts: VideoFacts) -> bool:
    """Tell whether players can play a video without encoding it again.

    Args:
        facts: The properties of the video.

    Returns:
        True for progressive 8-bit H.264 in the standard range, stored upright, with AAC, MP3 or no audio.
    """
    return (
        facts.video_codec == "h264"
        and facts.pixel_format in {"yuv420p", "yuvj420p"}
        and facts.sound_codec in {None, "aac", "mp3"}
        and facts.turn == Turn()  # MPEG-TS cannot store a rotation
        and not facts.interlaced
        and facts.colour.streamed == facts.colour
        and facts.container_format != "avi"  # has no presentation times
    )


def remux(file: Path, facts: VideoFacts, folder: Path, name: str) -> bool:
    """Split a video into segments at its own keyframes, without encoding it again.

    Args:
        file: The video.
        facts: The properties of the video.
        folder: The folder for the files.
        name: Part of the file names.

    Returns:
        False if its packets cannot be copied, such as with wrong timestamps; then there are no files.
    """
    span = _Span(facts)
    try:
        with open_container(file) as source:
            streams = decodable_streams(source, file)
            with open_hls(folder, [name], with_sound=streams[1] is not None) as target:
                for packet in _copied(source, target, list(filter(None, streams)), facts):
                    span.add(packet)
                    target.mux(packet)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        finish_playlist(folder / playlist_name(name), lead=span.lead, total=span.seconds)
    except (FFmpegError, _NotCopiedError):
        for part in folder.glob(f"{playlist_name(name).removesuffix('.m3u8')}*"):
            part.unlink()
        return False
    return True


class _NotCopiedError(Exception):
    """The packets cannot be copied."""


class _Span:
    """The time from the start of the first packet to the end of the last, in seconds."""

    def __init__(self, facts: VideoFacts) -> None:
        self._frame = 1 / float(facts.frame_rate)
        self._stated_end = facts.duration or inf
        self._starts: dict[bool, float] = {}
        self._end = 0.0

    @property
    def lead(self) -> float:
        """How much earlier the audio starts than the video."""
        return self._starts[True] - self._start

    @property
    def seconds(self) -> float:
        """The whole duration."""
        return self._end - self._start

    @property
    def _start(self) -> float:
        return max(0, min(self._starts.values()))

    def add(self, packet: Packet[Stream]) -> None:
        """Take the next packet."""
        is_video = packet.stream.type == "video"
        tick = float(packet.time_base)
        start, duration = (packet.pts or 0) * tick, (packet.duration or 0) * tick
        if is_video:
            # MP4 states the durations in decoding order, so it may be that of another frame.
            left = self._stated_end - start
            duration = min(duration or self._frame, left if left > 0 else self._frame)
        self._starts.setdefault(is_video, start)
        self._end = max(self._end, start + duration)


def _copied(
    source: InputContainer,
    target: OutputContainer,
    streams: Sequence[VideoStream | AudioStream],
    facts: VideoFacts,
) -> Iterator[Packet[Stream]]:
    if any(not isinstance(stream, VideoStream) and not stream.sample_rate for stream in streams):
        raise _NotCopiedError  # the audio is only announced, so it cannot be described
    outputs = {
        stream.index: target.add_stream_from_template(stream)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
        for stream in streams
    }
    packets = _from_first_keyframe(source.demux(*streams))
    for packet in _with_decoding_times(packets, facts):
        packet.stream = outputs[packet.stream_index]
        yield packet


def _from_first_keyframe(packets: Iterable[Packet[Stream]]) -> Iterator[Packet[Stream]]:
    """Yield the packets that have data, without the video before the first keyframe."""
    keyframe_found = False
    for packet in packets:
        is_video = packet.stream.type == "video"
        if not packet.size:  # end of the stream
            continue
        if packet.pts is None or (is_video and packet.is_discard):
            raise _NotCopiedError
        keyframe_found = keyframe_found or (is_video and packet.is_keyframe)
        if keyframe_found or not is_video:
            yield packet
    if not keyframe_found:
        raise _NotCopiedError


def _with_decoding_times(packets: Iterable[Packet[Stream]], facts: VideoFacts) -> Iterator[Packet[Stream]]:
    """Yield packets with times that start at 0. Matroska has no decoding times for the first frames."""
    undated: list[Packet[Stream]] = []
    clock = ContinuousClock(facts.container_format)
    for packet in packets:
        clock.correct(packet)
        if packet.pts is None:
            raise _NotCopiedError
        offset = round(facts.start / float(packet.time_base))
        packet.pts -= offset
        if packet.dts is None:
            undated.append(packet)
            continue
        packet.dts -= offset
        if undated and packet.stream_index == undated[0].stream_index:
            yield from _dated_before(packet.dts, undated, facts)
            undated.clear()
        yield packet
    if undated:
        yield from _dated_before(min(packet.pts or 0 for packet in undated), undated, facts)


def _dated_before(dts: int, packets: Sequence[Packet[Stream]], facts: VideoFacts) -> Iterator[Packet[Stream]]:
    """Yield the packets with decoding times one frame apart, up to a time."""
    for frames_ahead, packet in zip(range(len(packets), 0, -1), packets, strict=True):
        packet.dts = dts - round(frames_ahead / (facts.frame_rate * Fraction(packet.time_base)))
        yield packet
