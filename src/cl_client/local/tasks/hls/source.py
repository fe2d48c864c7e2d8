"""Decoding of a video into frames on one clock, once for any number of encoders."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeVar, cast

from av.error import InvalidDataError
from av.video.frame import VideoFrame

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.hls.streams import (
    hides_content,
    lacks_sound,
    sound_stream,
    start_of,
    stated_duration,
)
from cl_client.local.tasks.hls.timing import ContinuousClock, FrameTimer, SoundConverter
from cl_client.local.tasks.videos.colours import colour_warning, specify_colour
from cl_client.local.tasks.videos.frame_converter import turn_of
from cl_client.local.tasks.videos.opening import decodable_video, open_container, video_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    from cl_client.local.tasks.videos.colours import Colour
    from cl_client.local.tasks.videos.frame_converter import Turn

_Frame = TypeVar("_Frame")

_FALLBACK_FRAME_RATE: Final = Fraction(25)
_HIGHEST_FRAME_RATE: Final = 1000
"""From here on it is the rate of the clock, as FFmpeg states for DV. An encoder that takes it for that of the
frames has no bits for the first ones: they are grey."""
_COMPLETE_FROM: Final = 0.9
"""A video fails if less than this fraction of its stated duration can be read."""
_NOTICED_LOSS: Final = 0.02
_NOTICED_LOSS_SECONDS: Final = 1.0
"""Less than both missing at the end is no reason for a warning: stated durations are not that exact."""
_LONGEST_SECONDS: Final = 24 * 3600
_LONGEST_PAUSES, _LONGEST_PER_FRAME = 3600, 60
"""Seconds without audio in total, and for each frame. Wrong timestamps may make a file of a few KB last for a
day, which would be filled with repeated frames."""
_LONGEST_LAG: Final = 30
"""A stream that pauses or ends so many seconds before the other is continued by its last frame or silence.
Limits how much the muxer has to keep in memory."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The properties of a video that are needed before its first frame can be encoded.

    Attributes:
        width: Pixels as displayed: upright, and with square pixels.
        height: Pixels as displayed.
        turn: How the stored frames are shown.
        interlaced: Whether the odd and even lines of the first frame are of different times.
        frame_rate: Average number of frames per second.
        colour: The colours of the first frame, as players take them.
        start: Time in seconds at which video or audio starts, on the file's own clock.
        duration: In seconds; None if the file does not state it, as is common for browser recordings.
        duration_is_of_others: Whether that is the duration of all streams, such as subtitles.
        hides_content: Whether an edit list hides a part of the video or audio.
        container_format: FFmpeg's name of the container.
        pixel_format: FFmpeg's name of the pixel format.
        video_codec: FFmpeg's name of the video codec.
        sound_codec: FFmpeg's name of the audio codec; None if there is no audio that can be decoded.
        lacks_sound: Whether there is audio, but none that can be decoded.
    """

    width: int
    height: int
    turn: Turn
    interlaced: bool
    frame_rate: Fraction
    colour: Colour
    start: float
    duration: float | None
    duration_is_of_others: bool
    hides_content: bool
    container_format: str
    pixel_format: str
    video_codec: str
    sound_codec: str | None
    lacks_sound: bool


def examine(file: Path, warn: Callable[[str], None]) -> VideoFacts:
    """Read a video's headers and its first frame.

    Args:
        file: The video.
        warn: Called if its colours are not supported.

    Returns:
        The properties of the video.

    Raises:
        TaskFailedError: The file is not a video, or its frames cannot be decoded.
    """
    with video_errors(file), open_container(file) as container:
        video = decodable_video(container, file)
        sound = sound_stream(container, video)
        chosen = list(filter(None, (video, sound)))
        stated, is_of_others = stated_duration(container, chosen)
        frame = _first_frame(container, video)
        if frame is None:
            raise TaskFailedError(f"{file.name}: no frame of the video can be decoded")
        width, height = frame.width, frame.height
        if video.sample_aspect_ratio:
            width = max(1, round(width * float(video.sample_aspect_ratio)))
        turn = turn_of(frame)
        warning = colour_warning(frame)
        if warning is not None:
            warn(warning)
        width, height = turn.applied_to(width, height)
        start = start_of(container, video, sound, default=frame.time)
        return VideoFacts(
            width=width,
            height=height,
            turn=turn,
            interlaced=frame.interlaced_frame,
            frame_rate=_frame_rate(video),
            colour=specify_colour(frame),
            start=start,
            # Files state when they end, by a clock that need not start at 0.
            duration=None if stated is None or stated <= start else stated - max(0, start),
            duration_is_of_others=is_of_others,
            hides_content=hides_content(container, chosen),
            container_format=container.format.name,
            pixel_format=frame.format.name,
            video_codec=video.codec_context.codec.canonical_name,
            sound_codec=sound and sound.codec_context.codec.canonical_name,
            lacks_sound=lacks_sound(container, video),
        )


def read_frames(
    file: Path, facts: VideoFacts, on_position: Callable[[float], None], warn: Callable[[str], None]
) -> Iterator[VideoFrame | AudioFrame]:
    """Decode a video from start to end.

    Video frames are yielded in display order, as stored, with ``pts`` and ``duration`` in ticks of `CLOCK`
    from the start. Audio is stereo at `SOUND_RATE` without gaps, filled with silence. Both last from 0 to the
    end of the longer one; the first and the last frame are shown as long as there is only audio.
    Damaged parts of the file are skipped, as players do.

    Args:
        file: The video.
        facts: The result of `examine`.
        on_position: Called with the progress, 0-1.
        warn: Called with what is damaged or missing.

    Yields:
        Video and audio frames.

    Raises:
        TaskFailedError: The file is truncated, too damaged to continue, or too long.
    """
    timer = FrameTimer(facts.start, facts.frame_rate, facts.container_format, facts.duration)
    converter, clock = SoundConverter(facts.start), ContinuousClock(facts.container_format)
    extent = _Extent(file, timer, converter)
    _require_length(file, facts.duration or 0)
    damaged: Counter[str] = Counter()
    position = end_of_others = 0.0
    with video_errors(file), open_container(file) as container:
        video, sound = decodable_streams(container, file)
        others = _other_streams(container) if facts.duration_is_of_others else []
        for packet in container.demux(*filter(None, (video, sound)), *others):
            if packet.stream in others:
                end_of_others = max(end_of_others, _end_of(packet) - facts.start)
                continue
            clock.correct(packet)
            if packet.stream_index == video.index:
                timer.note_packet(packet)
            for frame in _decoded(packet, damaged):
                if isinstance(frame, VideoFrame):
                    extent.frames += 1
                    yield from extent.bounded(timer.shown_before(frame))
                    if sound is not None:
                        yield from converter.silence(timer.position - _LONGEST_LAG)
                else:
                    yield from extent.bounded(converter.convert(frame))
                    yield from extent.bounded(timer.repeated(converter.seconds - _LONGEST_LAG))
            position = max(position, _position(packet, container, extent.seconds, facts.duration))
            on_position(position)
        yield from converter.rest()
        read = max(timer.seconds, converter.seconds)
        if sound is not None:
            yield from extent.bounded(converter.silence(timer.seconds))
        yield from extent.bounded(timer.last(converter.seconds))
    for kind, count in damaged.items():
        warn(f"parts of the {kind} are damaged ({count} packets): they are left out or show errors")
    _require_complete(file, facts, max(read, end_of_others), warn)


def decodable_streams(container: InputContainer, file: Path) -> tuple[VideoStream, AudioStream | None]:
    """Return the streams that a player would choose.

    Args:
        container: The open container.
        file: The file, for the message.

    Returns:
        The video stream, and the audio stream; None if there is no audio that can be decoded.

    Raises:
        TaskFailedError: There is no video that can be decoded.
    """
    video = decodable_video(container, file)
    return video, sound_stream(container, video)


def _other_streams(container: InputContainer) -> list[Stream]:
    return [stream for stream in container.streams if stream.type in {"subtitle", "data"}]


def _end_of(packet: Packet[Stream]) -> float:
    return float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base)


def _decoded(
    packet: Packet[Stream] | Packet[VideoStream], damaged: Counter[str]
) -> list[VideoFrame | AudioFrame]:
    """Decode a packet of video or audio; a damaged one is counted, and may have no frames."""
    is_damaged = packet.is_corrupt
    frames: list[VideoFrame | AudioFrame] = []
    try:
        frames = cast("list[VideoFrame | AudioFrame]", packet.decode())
    except InvalidDataError:
        is_damaged = True
    if is_damaged:
        damaged[packet.stream.type] += 1
    return frames


def _frame_rate(video: VideoStream) -> Fraction:
    rates = (video.average_rate, video.guessed_rate)
    return next((rate for rate in rates if rate and rate < _HIGHEST_FRAME_RATE), _FALLBACK_FRAME_RATE)


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    for packet in container.demux(stream):
        for frame in _decoded(packet, Counter()):
            if isinstance(frame, VideoFrame):
                return frame
    return None


def _position(
    packet: Packet[Stream], container: InputContainer, seconds: float, duration: float | None
) -> float:
    if duration is not None:
        return min(1, seconds / duration)
    return min(1, (packet.pos or 0) / max(1, container.size or 0))


@dataclass(slots=True)
class _Extent:
    """Compares how long a video gets with what it has."""

    file: Path
    timer: FrameTimer
    converter: SoundConverter
    frames: int = 0

    @property
    def seconds(self) -> float:
        return max(self.timer.position, self.converter.seconds)

    def bounded(self, frames: Iterator[_Frame]) -> Iterator[_Frame]:
        """Yield the frames as long as the video does not last too long."""
        for frame in frames:
            _require_length(self.file, self.seconds)
            longest = _LONGEST_PAUSES + _LONGEST_PER_FRAME * self.frames + self.converter.heard
            if self.seconds > longest:
                raise TaskFailedError(
                    f"{self.file.name}: its first {self.seconds / 3600:.1f} hours have only {self.frames} "
                    f"frames and {self.converter.heard:.0f} seconds of audio; if its timestamps are right, "
                    "encode it with at least one frame per minute"
                )
            yield frame


def _require_length(file: Path, seconds: float) -> None:
    if seconds > _LONGEST_SECONDS:
        raise TaskFailedError(f"{file.name}: the video lasts longer than 24 hours; split it")


def _require_complete(file: Path, facts: VideoFacts, seconds: float, warn: Callable[[str], None]) -> None:
    if facts.duration is None:
        return
    part = f"only {seconds:.1f} of its {facts.duration:.1f} seconds can be read"
    if seconds < _COMPLETE_FROM * facts.duration:
        raise TaskFailedError(f"{file.name}: the video is truncated or damaged, {part}")
    if facts.duration - seconds > max(_NOTICED_LOSS_SECONDS, _NOTICED_LOSS * facts.duration):
        warn(f"the video is truncated or damaged, {part}")
