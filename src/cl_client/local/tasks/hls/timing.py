"""One clock for the pictures and the sound of a video, without jumps and without gaps."""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

CLOCK_RATE: Final = 90_000
"""Ticks per second of all timestamps; the clock of MPEG-TS (ISO/IEC 13818-1, 2.4.3.7)."""
CLOCK: Final = Fraction(1, CLOCK_RATE)
SOUND_RATE: Final = 48_000
"""Audio samples per second."""

SEGMENT_SECONDS: Final = 2
"""The duration of a segment and the distance of keyframes, as on real servers."""

_AAC_FRAME_SAMPLES: Final = 1024
_LONGEST_FRAME: Final = CLOCK_RATE
"""A frame that lasts longer is repeated, so that no keyframe comes much later than a segment should start."""
_REPEATED_FRAME: Final = CLOCK_RATE // 5
"""How long each repetition lasts. An encoder with B-frames delays the start of a stream by two frames."""
_UNEVEN_SECONDS: Final = 0.1
"""Up to this difference, video and audio start and end together: audio frames are that long."""
_JUMP_SECONDS: Final = 10
_BACKWARD_JUMP_SECONDS: Final = 1
"""A larger difference to the time before is a new clock, in formats whose clock may change."""
_LONGEST_RESAMPLED_GAP: Final = 1
"""A longer gap, in seconds, is not left to FFmpeg's resampler, which would fill all of it at once."""
_LONGEST_GAP_SECONDS: Final = 3600
"""A larger one is a wrong timestamp, in all formats."""
_LONGEST_REORDERING_SECONDS: Final = 60
"""A larger difference of decoding and display time is wrong, where the clock may change."""
_NEW_CLOCK_FORMATS: Final = frozenset({"mpegts", "mpeg"})


class ContinuousClock:
    """Removes jumps from the timestamps of packets.

    The clock of MPEG-TS may jump: recordings are joined, or a camcorder is paused. In other formats only a
    jump forward by more than an hour is removed; otherwise a wrong timestamp would become days of silence.

    Args:
        container_format: FFmpeg's name of the container.
    """

    def __init__(self, container_format: str) -> None:
        self._may_change = container_format in _NEW_CLOCK_FORMATS
        self._longest = _JUMP_SECONDS if self._may_change else _LONGEST_GAP_SECONDS
        self._longest_reordering = _LONGEST_REORDERING_SECONDS if self._may_change else _LONGEST_GAP_SECONDS
        self._offset = 0.0
        self._ends: dict[int, float] = {}

    def correct(self, packet: Packet[Stream]) -> None:
        """Change the timestamps of the next packet if the clock has jumped.

        A display time that is far from the decoding time is wrong, and removed.

        Args:
            packet: The packet.
        """
        time = packet.pts if packet.dts is None else packet.dts
        if time is None or not packet.time_base:
            return
        tick = float(packet.time_base)
        if packet.pts is not None and abs(packet.pts - time) * tick > self._longest_reordering:
            packet.pts = None
        seconds = time * tick + self._offset
        if self._ends:
            own_end = self._ends.get(packet.stream_index, max(self._ends.values()))
            went_back = self._may_change and seconds < own_end - _BACKWARD_JUMP_SECONDS
            if went_back or seconds > max(self._ends.values()) + self._longest:
                self._offset += own_end - seconds
                seconds = own_end
        self._ends[packet.stream_index] = seconds + (packet.duration or 0) * tick
        if self._offset:
            offset = round(self._offset / tick)
            packet.dts = None if packet.dts is None else packet.dts + offset
            packet.pts = None if packet.pts is None else packet.pts + offset


class FrameTimer:
    """Converts the times of video frames to `CLOCK`, from 0 on; each frame lasts until the next one.

    The first frame is shown from the start, even if the audio starts earlier. A frame that lasts long is
    repeated. Frames before the start are skipped, and those whose time is not after that of the previous one.

    Args:
        start: The time in seconds to count from, on the file's own clock.
        frame_rate: Frames per second, for frames without a duration.
        container_format: FFmpeg's name of the container.
        stated: The duration in seconds that the file states, or None.
    """

    def __init__(
        self, start: float, frame_rate: Fraction, container_format: str, stated: float | None
    ) -> None:
        self._start = start
        self._stated_end = None if stated is None else round(stated * CLOCK_RATE)
        self._usual_duration = max(1, round(CLOCK_RATE / frame_rate))
        self._held: VideoFrame | None = None
        self._pts = -1
        self._end = 0
        self._is_avi = container_format == "avi"
        self._decoding_times: list[int] = []

    @property
    def position(self) -> float:
        """When the current frame is shown, in seconds."""
        return self._pts / CLOCK_RATE

    @property
    def seconds(self) -> float:
        """When the current frame ends if it is the last one, in seconds."""
        return self._end / CLOCK_RATE

    def note_packet(self, packet: Packet[Stream]) -> None:
        """Record the decoding times of AVI, which has no others: frames are displayed at these, in order.

        Args:
            packet: The next packet of the video stream.
        """
        if self._is_avi and packet.dts is not None:
            heapq.heappush(self._decoding_times, packet.dts)

    def shown_before(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Take the next frame, and yield the previous one, whose duration is now known.

        Args:
            frame: The next frame in display order.

        Yields:
            The previous frame, several times if it lasts long.
        """
        if self._decoding_times:
            frame.pts = heapq.heappop(self._decoding_times)
        pts = self._end if frame.pts is None else round((frame.time - self._start) * CLOCK_RATE)
        if pts <= self._pts:
            return
        end = pts + self._duration(pts, frame)
        if self._held is None:
            pts = 0
        yield from self._shown_until(pts)
        frame.pts, frame.time_base = pts, CLOCK
        self._held, self._pts, self._end = frame, pts, end

    def _duration(self, pts: int, frame: VideoFrame) -> int:
        own = round(frame.duration * CLOCK_RATE * float(frame.time_base or 0))
        if self._stated_end is not None:
            # MP4 states the durations in decoding order, so it may be that of another frame.
            left = self._stated_end - pts
            own = min(own, left if left > 0 else self._usual_duration)
        return own or self._usual_duration

    def repeated(self, seconds: float) -> Iterator[VideoFrame]:
        """Yield the current frame as often as is needed for it to be shown until a time.

        Args:
            seconds: The time.

        Yields:
            The frame, but for the last time, as the next frame may come yet.
        """
        until, held = round(seconds * CLOCK_RATE), self._held
        if held is None or until - self._pts <= _LONGEST_FRAME:
            return
        while until - self._pts > _REPEATED_FRAME:
            # At multiples, which are also the times of keyframes.
            next_pts = (self._pts // _REPEATED_FRAME + 1) * _REPEATED_FRAME
            held.pts, held.duration = self._pts, next_pts - self._pts
            yield held
            self._pts = next_pts
        self._end = max(self._end, self._pts + self._usual_duration)

    def last(self, sound_end: float) -> Iterator[VideoFrame]:
        """Yield the last frame, with its own duration, or until the audio ends.

        Args:
            sound_end: In seconds.

        Yields:
            The frame, several times if it lasts long.
        """
        if sound_end > self.seconds + _UNEVEN_SECONDS:
            self._end = round(sound_end * CLOCK_RATE)
        yield from self._shown_until(self._end)

    def _shown_until(self, pts: int) -> Iterator[VideoFrame]:
        yield from self.repeated(pts / CLOCK_RATE)
        if self._held is not None:
            self._held.pts, self._held.duration = self._pts, pts - self._pts
            yield self._held


class SoundConverter:
    """Converts any audio to stereo at `SOUND_RATE`, without gaps from the start on.

    Args:
        start: The time in seconds to count from, on the file's own clock.
    """

    def __init__(self, start: float) -> None:
        self._start = start
        self._resampler: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._samples = 0
        self.heard = 0.0
        """The duration of the audio of the file so far, in seconds, without the silence between."""

    @property
    def seconds(self) -> float:
        """The end of the audio so far, in seconds."""
        return self._samples / SOUND_RATE

    def convert(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Take the next frame, and yield the audio that is ready.

        Args:
            frame: The next frame.

        Yields:
            Audio.
        """
        self.heard += frame.samples / max(1, frame.sample_rate)
        if frame.pts is not None and frame.time_base:
            frame.pts -= round(self._start / float(frame.time_base))
            start = float(frame.pts * frame.time_base)
            if start > self.seconds + _LONGEST_RESAMPLED_GAP:
                yield from self.silence(start)
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
                # With it, FFmpeg also fills gaps, and cuts overlaps. Its unit is a sample of the input.
                options={"first_pts": str(round(self.seconds * frame.sample_rate))},
            )
        yield from self._counted(self._resampler.resample(frame))

    def silence(self, until: float) -> Iterator[AudioFrame]:
        """Yield the audio so far, then silence.

        Args:
            until: The time in seconds at which the silence ends. Nothing is yielded if the audio ends later.

        Yields:
            Audio.
        """
        if until <= self.seconds:
            return
        yield from self.rest()
        while self.seconds < until:
            frame = AudioFrame(format="fltp", layout="stereo", samples=_AAC_FRAME_SAMPLES)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
            yield from self._counted([frame])

    def rest(self) -> Iterator[AudioFrame]:
        """Flush the resampler.

        Yields:
            The audio that it still holds.
        """
        if self._resampler is not None:
            yield from self._counted(self._resampler.resample(None))
            self._resampler = None

    def _counted(self, frames: list[AudioFrame]) -> Iterator[AudioFrame]:
        for frame in frames:
            frame.pts = self._samples  # differs by a rounded sample at most
            self._samples += frame.samples
            yield frame
