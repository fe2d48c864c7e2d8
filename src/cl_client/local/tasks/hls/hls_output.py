"""HTTP Live Streaming (HLS) written by FFmpeg: H.264 and AAC in MPEG-TS segments, and their playlists."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

import av
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.hls.playlists import Variant, finish_playlist, write_master
from cl_client.local.tasks.hls.timing import CLOCK, CLOCK_RATE, SEGMENT_SECONDS, SOUND_RATE
from cl_client.local.tasks.videos.frame_converter import FrameConverter

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

    from cl_client.local.tasks.hls.source import VideoFacts

MASTER_PLAYLIST: Final = "adaptive.m3u8"

_KEYFRAME_TICKS: Final = SEGMENT_SECONDS * CLOCK_RATE
_SOUND_BIT_RATE: Final = 128_000
"""Bits per second, for both channels; in addition to the bit rate of a variant's video."""
_MAX_MACROBLOCKS: Final = 139_264
_MAX_SIDE_MACROBLOCKS: Final = 1055
"""The largest frame of H.264 and its longest side, in blocks of 16 x 16 pixels (ITU-T H.264, level 6.2)."""

_PIXEL_FORMAT: Final = "yuv420p"
_SEQUENCE_PARAMETERS: Final = b"\0\0\1\x67"
"""The start of x264's NAL unit with the sequence parameters (ITU-T H.264, B.1 and 7.3.1)."""
_AAC: Final = "mp4a.40.2"
"""AAC-LC in RFC 6381."""

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
        self._file, self._folder, self._master = file, folder, master
        self._next_keyframe = 0
        names = [rendition.name for rendition in renditions]
        with_sound = facts.sound_codec is not None
        self._container = open_hls(folder, names, with_sound=with_sound)
        self._tracks = [_Track(self._container, facts, rendition) for rendition in renditions]
        with writing(file):
            self._container.start_encoding()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is None:
                with writing(self._file):
                    for track in self._tracks:
                        track.write_picture(None)
                        track.write_sound(None)
                    self._container.close()
                self._finish_playlists()
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
        with writing(self._file):
            if not isinstance(frame, VideoFrame):
                for track in self._tracks:
                    track.write_sound(frame)
                return
            keyframe = self._is_keyframe(frame.pts or 0)
            for track in self._tracks:
                track.write_picture(frame, keyframe=keyframe)

    def _finish_playlists(self) -> None:
        for track in self._tracks:
            finish_playlist(self._folder / track.variant.playlist, lead=0, total=track.seconds)
        if self._master is not None:
            write_master(self._folder / self._master, [track.variant for track in self._tracks])

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
        self._rendition = rendition
        self._frame_durations: Counter[int] = Counter()
        self._converter = FrameConverter(
            rendition.width, rendition.height, facts.turn, _PIXEL_FORMAT, facts.colour.streamed
        )
        self._video = _add_h264(container, facts, rendition)
        self._sound: AudioStream | None = None
        if facts.sound_codec is not None:
            self._sound = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its keyword arguments untyped
            self._sound.bit_rate = _SOUND_BIT_RATE

    @property
    def seconds(self) -> float:
        """The duration of the video, and so of the audio."""
        return sum(self._frame_durations.elements()) / CLOCK_RATE

    @property
    def variant(self) -> Variant:
        """The rendition as the master playlist describes it."""
        h264 = _h264_codec(self._video.codec_context.extradata or b"")
        return Variant(
            playlist=playlist_name(self._rendition.name),
            width=self._rendition.width,
            height=self._rendition.height,
            frame_rate=CLOCK_RATE / median(self._frame_durations.elements()),
            codecs=[h264] if self._sound is None else [h264, _AAC],
        )

    def write_picture(self, frame: VideoFrame | None, *, keyframe: bool = False) -> None:
        """Encode a video frame, or with None flush the encoder."""
        scaled = None
        if frame is not None:
            self._frame_durations[frame.duration] += 1
            scaled = self._converter.convert(frame)
            scaled.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._container.mux(self._video.encode(scaled))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open

    def write_sound(self, frame: AudioFrame | None) -> None:
        """Encode an audio frame, or with None flush the encoder. Does nothing for a video without audio."""
        if self._sound is not None:
            self._container.mux(self._sound.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open


def playlist_name(rendition: str) -> str:
    """Return the name of a rendition's media playlist.

    Args:
        rendition: The name of the rendition.

    Returns:
        The file name.
    """
    return f"adaptive-{rendition}.m3u8"


def _h264_codec(header: bytes) -> str:
    """Return the codec as in RFC 6381: profile, constraints and level, from the sequence parameter set."""
    start = header.index(_SEQUENCE_PARAMETERS) + len(_SEQUENCE_PARAMETERS)
    return f"avc1.{header[start : start + 3].hex()}"


def open_hls(folder: Path, names: Sequence[str], *, with_sound: bool) -> OutputContainer:
    """Open FFmpeg's HLS muxer, which expects the streams in the order of names: video, audio, video, ...

    Args:
        folder: The folder for the files.
        names: The names of the renditions, part of their files' names.
        with_sound: Whether the renditions have audio.

    Returns:
        The container, to be closed by the caller.
    """
    streams = [
        f"v:{i},a:{i},name:{name}" if with_sound else f"v:{i},name:{name}" for i, name in enumerate(names)
    ]
    return av.open(
        str(folder.absolute() / playlist_name("%v")),
        mode="w",
        format="hls",
        options={
            "hls_time": str(SEGMENT_SECONDS),
            "hls_list_size": "0",
            "hls_segment_filename": str(folder.absolute() / "adaptive-%v-%03d.ts"),
            "var_stream_map": " ".join(streams),
            # Never write a stream ahead of another one, as that would put it into an earlier segment.
            "max_interleave_delta": "0",
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
def writing(file: Path) -> Generator[None]:
    """Convert the exceptions of FFmpeg in the block, which writes a stream, to `TaskFailedError`.

    Args:
        file: The video, for the message.

    Yields:
        Nothing.

    Raises:
        TaskFailedError: The stream cannot be written, or there is not enough memory.
    """
    try:
        yield
    except MemoryError as exc:
        raise TaskFailedError(f"{file.name}: not enough memory to encode this video") from exc
    except FFmpegError as exc:
        raise TaskFailedError(f"{file.name}: the stream cannot be written ({exc.strerror})") from exc
