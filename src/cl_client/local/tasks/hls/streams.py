"""The choice of the streams of a video that a player would play, and what the file says about them."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast

import av
from av.stream import Disposition
from av.video.stream import VideoStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream

_NOT_THE_MAIN_SOUND: Final = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.hearing_impaired
    | Disposition.karaoke
    | Disposition.clean_effects
    | Disposition.dependent
)
_DURATION_TAG: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_ESTIMATED_DURATION: Final = frozenset({"mpegvideo", "mpegts", "mpeg", "ivf"})
"""Containers whose duration FFmpeg estimates from the last timestamps, or from the size."""
_ENCODER_DELAY: Final = 0.15
"""Audio hidden at the start up to this length is no content, but the delay of the encoder."""


def sound_stream(container: InputContainer, video: VideoStream) -> AudioStream | None:
    """Return the audio stream that a player would choose for a video stream.

    That is one of the same program (in MPEG-TS) that can be decoded and is no commentary or the like, if
    possible one that is the default or enabled; and of several such streams the first.

    Args:
        container: The open container.
        video: The video stream.

    Returns:
        The stream; None if there is no audio, or none that can be decoded.
    """
    return min(
        filter(_is_decodable, _sound_of_program(container, video)),
        key=lambda stream: (
            not stream.codec_context.sample_rate,  # only announced
            bool(stream.disposition & _NOT_THE_MAIN_SOUND),
            not stream.disposition & Disposition.default,
            stream.index,
        ),
        default=None,
    )


def lacks_sound(container: InputContainer, video: VideoStream) -> bool:
    """Tell whether a video stream has audio, but none that can be decoded.

    Args:
        container: The open container.
        video: The video stream.

    Returns:
        True if there is audio that cannot be decoded, and no other.
    """
    sounds = _sound_of_program(container, video)
    return bool(sounds) and not any(map(_is_decodable, sounds))


def _is_decodable(stream: AudioStream) -> bool:
    # PyAV's types say that the context always exists, but it is None if FFmpeg has no decoder.
    return cast("AudioCodecContext | None", stream.codec_context) is not None


def _sound_of_program(container: InputContainer, video: VideoStream) -> list[AudioStream]:
    best = container.streams.best
    anchor = best("audio", related=video)
    # PyAV does not tell the programs. FFmpeg takes another program's stream if there is none in the program.
    if anchor is None or best("video", related=anchor) != best("video", related=video):
        return []
    return [stream for stream in container.streams.audio if best("audio", related=stream) == anchor]


def start_of(
    container: InputContainer, video: VideoStream, sound: AudioStream | None, *, default: float
) -> float:
    """Tell when a video starts.

    Args:
        container: The open container.
        video: The video stream.
        sound: The audio stream, if there is one.
        default: The result if the file does not tell.

    Returns:
        The time in seconds at which video or audio starts, on the file's own clock.
    """
    starts = [
        stream.start_time * float(stream.time_base)
        for stream in (video, sound)
        if stream is not None and stream.start_time is not None and stream.time_base
    ]
    if not starts:
        return default
    # The first video frame, if audio starts just before it: that is what an encoder adds.
    start = starts[0] if starts[0] - min(starts) < _ENCODER_DELAY else min(starts)
    return max(0, start) if has_edit_lists(container) else start


def stated_duration(container: InputContainer, streams: Iterable[Stream]) -> tuple[float | None, bool]:
    """Tell how long some streams last, by what the file says about them or about the whole.

    Args:
        container: The open container.
        streams: The streams.

    Returns:
        The duration in seconds, or None if the file does not state one; and whether that is the duration of
        the whole file, which may be that of its subtitles.
    """
    if container.format.name in _ESTIMATED_DURATION:
        return None, False
    known = [seconds for stream in streams if (seconds := _own_duration(stream)) is not None]
    if container.format.name == "avi":
        # FFmpeg shortens the duration to what the file has; but the header states the number of frames.
        known += [
            float(stream.frames / stream.average_rate)
            for stream in streams
            if isinstance(stream, VideoStream) and stream.average_rate
        ]
    if known:
        # What is hidden in a fragmented file, see `_hides_content`.
        hidden = min(0, container.start_time or 0) if has_edit_lists(container) else 0
        return max(known) + hidden / av.time_base, False
    return (container.duration / av.time_base, True) if container.duration else (None, False)


def _own_duration(stream: Stream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    # Matroska: a tag of FFmpeg, mkvmerge and others; "DURATION-eng" if the tag has a language.
    for name, text in stream.metadata.items():
        match = _DURATION_TAG.match(text) if name.upper().startswith("DURATION") else None
        if match is not None:
            return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    return None


def hides_content(container: InputContainer, streams: Iterable[Stream]) -> bool:
    """Tell whether an edit list hides frames or audio: the file has them, but players do not show them.

    Args:
        container: The open container.
        streams: The streams.

    Returns:
        True if there are any, not counting the delay that encoders add at the start of audio.
    """
    return has_edit_lists(container) and any(map(_hides_content, streams))


def has_edit_lists(container: InputContainer) -> bool:
    """Tell whether a container is MP4, MOV or a relative; what these hold before time 0 is hidden.

    Args:
        container: The open container.

    Returns:
        True if it is.
    """
    return container.format.name.startswith("mov,")


def _hides_content(stream: Stream) -> bool:
    is_sound = stream.type == "audio"
    tick = float(stream.time_base or 0)
    # FFmpeg does not apply the edit lists of fragmented files, only what they move to before 0 can be seen.
    if -(stream.start_time or 0) * tick > _ENCODER_DELAY:
        return True
    discarded = [
        first.is_discard and second.timestamp - first.timestamp
        for first, second in pairwise(stream.index_entries)
    ]
    return sum(discarded) * tick > (_ENCODER_DELAY if is_sound else 0)
