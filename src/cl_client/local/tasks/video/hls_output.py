"""HTTP Live Streaming (HLS) written by FFmpeg: H.264 and AAC in MPEG-TS segments, and their playlists."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.media.frame_conversion import FrameConverter, Turn
from cl_client.local.tasks.media.videos import decodable_video, open_container
from cl_client.local.tasks.video.source import CLOCK, CLOCK_RATE, SOUND_RATE, decodable_sound

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    from cl_client.local.tasks.video.source import VideoFacts

MASTER_PLAYLIST: Final = "adaptive.m3u8"

# Apple's HLS Authoring Specification: segments of 6 s, a keyframe every 2 s.
_SEGMENT_SECONDS: Final = 6
_KEYFRAME_TICKS: Final = 2 * CLOCK_RATE
_SOUND_BIT_RATE: Final = 128_000
"""Bits per second, for both channels; in addition to the bit rate of a variant's video."""
_MAX_MACROBLOCKS: Final = 139_264
_MAX_SIDE_MACROBLOCKS: Final = 1055
"""The largest frame of H.264 and its longest side, in blocks of 16 x 16 pixels (ITU-T H.264, level 6.2)."""

_PIXEL_FORMAT: Final = "yuv420p"
_H264_OPTIONS: Final = {
    "preset": "veryfast",
    "profile": "high",
    # Keyframes only where requested, so that players can switch all renditions at the same times.
    "forced-idr": "1",
    "sc_threshold": "0",
    "x264-params": "keyint=infinite",
}


@dataclass(frozen=True, slots=True)
class Rendition:
    """One quality of a stream.

    Attributes:
        name: Part of its file names.
        width: Pixels, even.
        height: Pixels, even.
        rate_control: libx264's options for the bit rate.
    """

    name: str
    width: int
    height: int
    rate_control: Mapping[str, str]


class HlsOutput:
    """Renditions of one video, split into segments at the same times.

    A context manager: leaving it writes the playlists, unless an exception was raised.

    Args:
        file: The video, for messages.
        facts: The properties of the video.
        folder: The folder for the files.
        renditions: The renditions to write.
        master: The name of the playlist that lists all renditions; None to write none.

    Raises:
        TaskFailedError: A rendition is larger than H.264 allows, or the files cannot be written.
    """

    def __init__(
        self,
        file: Path,
        facts: VideoFacts,
        folder: Path,
        renditions: Sequence[Rendition],
        *,
        master: str | None = None,
    ) -> None:
        for rendition in renditions:
            _require_possible(file, rendition)
        self._file = file
        self._next_keyframe = 0
        names = [rendition.name for rendition in renditions]
        self._container = _open_hls(folder, names, with_sound=facts.sound_codec is not None, master=master)
        self._tracks = [_Track(self._container, facts, rendition) for rendition in renditions]
        with _writing(file):
            self._container.start_encoding()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is None:
                with _writing(self._file):
                    for track in self._tracks:
                        track.write_picture(None)
                        track.write_sound(None)
                    self._container.close()
        finally:
            with suppress(FFmpegError):
                self._container.close()  # does nothing the second time

    def write(self, frame: VideoFrame | AudioFrame) -> None:
        """Encode a frame for every rendition.

        Args:
            frame: The next frame from `read_frames`.

        Raises:
            TaskFailedError: The files cannot be written.
        """
        with _writing(self._file):
            if not isinstance(frame, VideoFrame):
                for track in self._tracks:
                    track.write_sound(frame)
                return
            keyframe = self._is_keyframe(frame.pts or 0)
            for track in self._tracks:
                track.write_picture(frame, keyframe=keyframe)

    def _is_keyframe(self, pts: int) -> bool:
        """Choose keyframes by time and not by count, so that they are at the same times at any frame rate."""
        if pts < self._next_keyframe:
            return False
        self._next_keyframe = (pts // _KEYFRAME_TICKS + 1) * _KEYFRAME_TICKS
        return True


class _Track:
    """The encoders of one rendition."""

    def __init__(self, container: OutputContainer, facts: VideoFacts, rendition: Rendition) -> None:
        self._container = container
        self._converter = FrameConverter(
            rendition.width, rendition.height, facts.turn, _PIXEL_FORMAT, facts.colour.streamed
        )
        self._video = _add_h264(container, facts, rendition)
        self._sound: AudioStream | None = None
        if facts.sound_codec is not None:
            self._sound = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
            self._sound.bit_rate = _SOUND_BIT_RATE

    def write_picture(self, frame: VideoFrame | None, *, keyframe: bool = False) -> None:
        """Encode a video frame, or with None flush the encoder."""
        scaled = None
        if frame is not None:
            scaled = self._converter.convert(frame)
            scaled.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._container.mux(self._video.encode(scaled))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open

    def write_sound(self, frame: AudioFrame | None) -> None:
        """Encode an audio frame, or with None flush the encoder. Does nothing for a video without audio."""
        if self._sound is not None:
            self._container.mux(self._sound.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open


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


def remux(file: Path, facts: VideoFacts, folder: Path, name: str) -> None:
    """Split a video into segments at its own keyframes, without encoding it again.

    Args:
        file: The video.
        facts: The properties of the video.
        folder: The folder for the files.
        name: Part of the file names.

    Raises:
        TaskFailedError: The files cannot be written.
    """
    with _writing(file), open_container(file) as source:
        inputs = [decodable_video(source, file), decodable_sound(source, file)]
        with _open_hls(folder, [name], with_sound=facts.sound_codec is not None) as target:
            outputs = {
                stream.index: target.add_stream_from_template(stream)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
                for stream in inputs
                if stream is not None
            }
            for packet in _with_decoding_times(source.demux(*filter(None, inputs)), facts):
                packet.stream = outputs[packet.stream_index]
                target.mux(packet)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open


def _with_decoding_times(packets: Iterable[Packet[Stream]], facts: VideoFacts) -> Iterator[Packet[Stream]]:
    """Yield packets with times that start at 0. Matroska has no decoding times for the first frames."""
    undated: list[Packet[Stream]] = []
    for packet in packets:
        if packet.pts is None:  # end of the stream
            continue
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


def _open_hls(
    folder: Path, names: Sequence[str], *, with_sound: bool, master: str | None = None
) -> OutputContainer:
    """Open FFmpeg's HLS muxer, which expects the streams in the order of names: video, audio, video, ..."""
    streams = [
        f"v:{i},a:{i},name:{name}" if with_sound else f"v:{i},name:{name}" for i, name in enumerate(names)
    ]
    return av.open(
        str(folder.absolute() / "adaptive-%v.m3u8"),
        mode="w",
        format="hls",
        options={
            "hls_time": str(_SEGMENT_SECONDS),
            "hls_list_size": "0",
            "hls_playlist_type": "vod",
            "hls_flags": "independent_segments",
            "hls_segment_filename": str(folder.absolute() / "adaptive-%v-%03d.ts"),
            "var_stream_map": " ".join(streams),
            **({"master_pl_name": master} if master is not None else {}),
        },
    )


def _add_h264(container: OutputContainer, facts: VideoFacts, rendition: Rendition) -> VideoStream:
    video = container.add_stream("libx264", rate=facts.frame_rate)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
    video.width, video.height, video.pix_fmt = rendition.width, rendition.height, _PIXEL_FORMAT
    video.options = {**_H264_OPTIONS, **rendition.rate_control}
    # Frames have their own durations; without this flag they would all have the same one.
    video.codec_context.time_base = CLOCK
    video.codec_context.flags |= Flags.frame_duration
    # PyAV's default makes x264 split each frame into slices, which lowers the quality.
    video.thread_type = "AUTO"
    # All renditions have the same, stated: players take what is not stated from the height, so the colours
    # would change with the rendition.
    primaries, transfer, matrix = facts.colour.streamed
    video.color_primaries, video.color_trc, video.colorspace = primaries, transfer, matrix
    video.color_range = ColorRange.MPEG
    return video


def _require_possible(file: Path, rendition: Rendition) -> None:
    columns, rows = -(-rendition.width // 16), -(-rendition.height // 16)
    if max(columns, rows) > _MAX_SIDE_MACROBLOCKS or columns * rows > _MAX_MACROBLOCKS:
        raise TaskFailedError(
            f"{file.name}: {rendition.width} x {rendition.height} pixels are more than H.264 allows; "
            "choose a lower resolution"
        )


@contextmanager
def _writing(file: Path) -> Generator[None]:
    try:
        yield
    except MemoryError as exc:
        raise TaskFailedError(f"{file.name}: not enough memory to encode this video") from exc
    except FFmpegError as exc:
        raise TaskFailedError(f"{file.name}: the stream cannot be written ({exc.strerror})") from exc
