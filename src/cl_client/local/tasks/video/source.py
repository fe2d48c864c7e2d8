"""Decoding of a video into frames on one clock, once for any number of encoders."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import av
from av.audio.resampler import AudioResampler
from av.error import InvalidDataError
from av.video.frame import VideoFrame

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.media.colours import colour_warning, specify_colour
from cl_client.local.tasks.media.frame_conversion import turn_of
from cl_client.local.tasks.media.videos import decodable_video, open_container, video_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    from cl_client.local.tasks.media.colours import Colour
    from cl_client.local.tasks.media.frame_conversion import Turn

CLOCK_RATE: Final = 90_000
"""Ticks per second of all timestamps; the clock of MPEG-TS (ISO/IEC 13818-1, 2.4.3.7)."""
CLOCK: Final = Fraction(1, CLOCK_RATE)
SOUND_RATE: Final = 48_000
"""Audio samples per second."""

_AAC_FRAME_SAMPLES: Final = 1024
_FALLBACK_FRAME_RATE: Final = 25
_COMPLETE_FROM: Final = 0.9
"""A video fails if less than this fraction of its stated duration can be read. Not closer to 1, as that
duration includes subtitles, which often end after video and audio."""


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
        container_format: FFmpeg's name of the container.
        pixel_format: FFmpeg's name of the pixel format.
        video_codec: FFmpeg's name of the video codec.
        sound_codec: FFmpeg's name of the audio codec; None if there is no audio.
    """

    width: int
    height: int
    turn: Turn
    interlaced: bool
    frame_rate: Fraction
    colour: Colour
    start: float
    duration: float | None
    container_format: str
    pixel_format: str
    video_codec: str
    sound_codec: str | None


def examine(file: Path, warn: Callable[[str], None]) -> VideoFacts:
    """Read a video's headers and its first frame.

    Args:
        file: The video.
        warn: Called if its colours are not supported.

    Returns:
        The properties of the video.

    Raises:
        TaskFailedError: The file is not a video, or its frames or its audio cannot be decoded.
    """
    with video_errors(file), open_container(file) as container:
        video = decodable_video(container, file)
        sound = decodable_sound(container, file)
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
        frame_rate = video.average_rate or video.guessed_rate or _FALLBACK_FRAME_RATE
        return VideoFacts(
            width=width,
            height=height,
            turn=turn,
            interlaced=frame.interlaced_frame,
            frame_rate=Fraction(frame_rate),
            colour=specify_colour(frame),
            start=_start_of(video, sound, default=frame.time),
            duration=_stated_duration(container),
            container_format=container.format.name,
            pixel_format=frame.format.name,
            video_codec=video.codec_context.codec.canonical_name,
            sound_codec=sound and sound.codec_context.codec.canonical_name,
        )


def decodable_sound(container: InputContainer, file: Path) -> AudioStream | None:
    """Return the audio stream that a player would choose, checked to be decodable.

    Args:
        container: The open container.
        file: The file, for the message.

    Returns:
        The stream; None if there is no audio.

    Raises:
        TaskFailedError: There is no decoder for its codec.
    """
    if not container.streams.audio:
        return None
    stream = cast("AudioStream | None", container.streams.best("audio")) or container.streams.audio[0]
    # PyAV's types say that it always exists, but it is None if FFmpeg has no decoder.
    if cast("AudioCodecContext | None", stream.codec_context) is None:
        raise TaskFailedError(f"{file.name}: the audio codec is not supported")
    return stream


def read_frames(
    file: Path, facts: VideoFacts, on_position: Callable[[float], None]
) -> Iterator[VideoFrame | AudioFrame]:
    """Decode a video from start to end.

    Video frames are yielded in display order, as stored, with ``pts`` and ``duration`` in ticks of `CLOCK`
    from the start. Audio is stereo at `SOUND_RATE` without gaps, filled with silence from the start on.
    Damaged parts of the file are skipped, as players do.

    Args:
        file: The video.
        facts: The result of `examine`.
        on_position: Called with the progress, 0-1.

    Yields:
        Video and audio frames.

    Raises:
        TaskFailedError: The file is truncated, or too damaged to continue.
    """
    timer, converter = _FrameTimer(facts), _SoundConverter(facts.start)
    position = 0.0
    with video_errors(file), open_container(file) as container:
        video, sound = decodable_video(container, file), decodable_sound(container, file)
        for packet in container.demux(video, *([sound] if sound is not None else [])):
            if packet.stream_index == video.index:
                timer.note_packet(packet)
            for frame in _decoded(packet):
                if isinstance(frame, VideoFrame):
                    yield from timer.shown_before(frame)
                else:
                    yield from converter.convert(frame)
            position = max(position, _position(packet, container, timer.seconds, facts.duration))
            on_position(position)
        yield from timer.last()
        yield from converter.rest()
    _require_complete(file, facts, max(timer.seconds, converter.seconds))


class _FrameTimer:
    """Converts the times of video frames to the clock; each frame lasts until the next one.

    A frame whose time is not after that of the previous one is skipped.
    """

    def __init__(self, facts: VideoFacts) -> None:
        self._start = facts.start
        self._usual_duration = max(1, round(CLOCK_RATE / facts.frame_rate))
        self._held: VideoFrame | None = None
        self._pts = -1
        self._end = 0
        self._is_avi = facts.container_format == "avi"
        self._decoding_times: list[int] = []

    @property
    def seconds(self) -> float:
        """The end of the last frame so far, in seconds."""
        return self._end / CLOCK_RATE

    def note_packet(self, packet: Packet[Stream]) -> None:
        """Record the decoding times of AVI, which has no others: frames are displayed at these, in order."""
        if self._is_avi and packet.dts is not None:
            heapq.heappush(self._decoding_times, packet.dts)

    def shown_before(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Take the next frame, and yield the previous one, whose duration is now known."""
        if self._decoding_times:
            frame.pts = heapq.heappop(self._decoding_times)
        pts = self._end if frame.pts is None else round((frame.time - self._start) * CLOCK_RATE)
        if pts <= self._pts:
            return
        own_duration = round(frame.duration * CLOCK_RATE * float(frame.time_base or 0))
        frame.pts, frame.time_base = pts, CLOCK
        frame.duration = own_duration or self._usual_duration
        held, self._held = self._held, frame
        if held is not None:
            held.duration = pts - self._pts
            yield held
        self._pts, self._end = pts, pts + frame.duration

    def last(self) -> Iterator[VideoFrame]:
        """Yield the last frame, with its own duration."""
        if self._held is not None:
            yield self._held


class _SoundConverter:
    """Converts any audio to stereo at `SOUND_RATE`, without gaps from the start on."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._resampler: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._samples = 0

    @property
    def seconds(self) -> float:
        """The end of the audio so far, in seconds."""
        return self._samples / SOUND_RATE

    def convert(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Take the next frame, and yield the audio that is ready."""
        form = frame.format.name, frame.layout.name, frame.sample_rate
        if self._resampler is None or form != self._form:
            yield from self.rest()
            self._form = form
            self._resampler = AudioResampler(
                format="fltp",
                layout="stereo",
                rate=SOUND_RATE,
                # Without a size, PyAV passes on audio in the right format unchanged, with its gaps.
                frame_size=_AAC_FRAME_SAMPLES,
                # With it, FFmpeg also fills gaps, and cuts overlaps.
                options={"first_pts": str(self._samples)},
            )
        if frame.pts is not None and frame.time_base:
            frame.pts -= round(self._start / float(frame.time_base))
        yield from self._counted(self._resampler.resample(frame))

    def rest(self) -> Iterator[AudioFrame]:
        """Yield the remaining audio."""
        if self._resampler is not None:
            yield from self._counted(self._resampler.resample(None))
            self._resampler = None

    def _counted(self, frames: list[AudioFrame]) -> Iterator[AudioFrame]:
        for frame in frames:
            self._samples += frame.samples
            yield frame


def _decoded(packet: Packet[Stream] | Packet[VideoStream]) -> list[VideoFrame | AudioFrame]:
    """Decode a packet of video or audio; a damaged one has no frames."""
    try:
        return cast("list[VideoFrame | AudioFrame]", packet.decode())
    except InvalidDataError:
        return []


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    for packet in container.demux(stream):
        for frame in _decoded(packet):
            if isinstance(frame, VideoFrame):
                return frame
    return None


def _start_of(*streams: Stream | None, default: float) -> float:
    starts = [
        stream.start_time * float(stream.time_base)
        for stream in streams
        if stream is not None and stream.start_time is not None and stream.time_base
    ]
    return min(starts, default=default)


def _stated_duration(container: InputContainer) -> float | None:
    # For a raw stream FFmpeg only guesses the duration, from size and bit rate.
    if not container.duration or container.format.name == "mpegvideo":
        return None
    return container.duration / av.time_base


def _position(
    packet: Packet[Stream], container: InputContainer, seconds: float, duration: float | None
) -> float:
    if duration is not None:
        return min(1, seconds / duration)
    return min(1, (packet.pos or 0) / max(1, container.size or 0))


def _require_complete(file: Path, facts: VideoFacts, seconds: float) -> None:
    if facts.duration is not None and seconds < _COMPLETE_FROM * facts.duration:
        raise TaskFailedError(
            f"{file.name}: the video is truncated or damaged, "
            f"only {seconds:.1f} of its {facts.duration:.1f} seconds can be read"
        )
