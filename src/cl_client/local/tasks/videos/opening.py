"""Videos and audio: type detection, and the stream that players show."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, cast

import av
from av.error import FFmpegError
from av.stream import Disposition

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import PIXEL_LIMIT
from cl_client.local.tasks.formats.heif import BRANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# Only containers that include their data. FFmpeg would also open playlists (hls, concat, dash), which can
# name any file or URL, and accepts any text as terminal output (tty).
_CONTAINERS: Final = (
    "aac,ac3,aiff,amr,ape,asf,avi,caf,dv,flac,flv,gxf,ivf,matroska,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,nut,"
    "ogg,rm,w64,wav,webm,wtv"
)
_PICTURE_BRANDS: Final = frozenset(brand.decode() for brand in BRANDS)
_PICTURES: Final = Disposition.attached_pic | Disposition.timed_thumbnails
"""Streams of single pictures."""

# Before version 19, PyAV refuses a file whose title is not UTF-8 by default.
_LENIENT_SINCE: Final = 19
_LENIENT: Final = (
    {} if int(av.__version__.partition(".")[0]) >= _LENIENT_SINCE else {"metadata_errors": "replace"}
)
_open_for_reading: Final = cast("Callable[..., InputContainer]", partial(av.open, mode="r", **_LENIENT))


def open_container(file: Path) -> InputContainer:
    """Open a video or audio file, detected by its content.

    Args:
        file: The file.

    Returns:
        The container, to be closed by the caller.

    Raises:
        FFmpegError: The file is neither, or is damaged.
    """
    # An absolute path: FFmpeg would interpret a prefix before a colon as a protocol.
    return _open_for_reading(str(file.absolute()), options={"format_whitelist": _CONTAINERS})


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the video stream that players show: the default one, or the first.

    Args:
        container: The open container.

    Returns:
        The stream; None if there is none. The cover of a song and a track of thumbnails are none.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & _PICTURES]
    return max(streams, key=lambda stream: (_is_playable(stream), _is_default(stream)), default=None)


def _is_playable(stream: VideoStream) -> bool:
    """Tell whether there is a decoder, and a frame: a recording of television may only announce a stream."""
    return _decoder(stream) is not None and stream.width > 0


def _is_default(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.default)


def _decoder(stream: VideoStream) -> VideoCodecContext | None:
    # PyAV's types say that it always exists, but it is None if FFmpeg has no decoder.
    return cast("VideoCodecContext | None", stream.codec_context)


def stream_kind(file: Path) -> Literal["video", "audio"] | None:
    """Tell whether a file is a video or audio.

    Args:
        file: The file.

    Returns:
        ``"audio"`` if it has audio but no video stream; None if it has neither.
    """
    try:
        with open_container(file) as container:
            if container.metadata.get("major_brand") in _PICTURE_BRANDS:
                return None
            if video_stream(container) is not None:
                return "video"
            return "audio" if container.streams.audio else None
    except (FFmpegError, ValueError):
        return None


@contextmanager
def video_errors(file: Path) -> Generator[None]:
    """Convert the exceptions of FFmpeg and PyAV in the block to `TaskFailedError`.

    Args:
        file: The file that the block reads, for the message.

    Yields:
        Nothing.

    Raises:
        TaskFailedError: The video cannot be decoded, or there is not enough memory.
    """
    try:
        yield
    except MemoryError as exc:
        raise TaskFailedError(f"{file.name}: not enough memory for this video") from exc
    except FFmpegError as exc:
        raise TaskFailedError(f"{file.name}: the video cannot be decoded ({exc.strerror})") from exc
    except ValueError as exc:
        raise TaskFailedError(f"{file.name}: the video cannot be decoded ({exc})") from exc


def decodable_video(container: InputContainer, file: Path) -> VideoStream:
    """Return the video stream that players show, checked to be decodable and set to decode on all cores.

    Args:
        container: The open container.
        file: The file, for the message.

    Returns:
        The stream.

    Raises:
        TaskFailedError: There is no video stream, no decoder for its codec, or its frames are too large.
    """
    return require_decodable(video_stream(container), file)


def require_decodable(stream: VideoStream | None, file: Path) -> VideoStream:
    """Check that a stream can be decoded, and set it to decode on all cores.

    Args:
        stream: The stream; None if the file has none.
        file: The file, for the message.

    Returns:
        The stream.

    Raises:
        TaskFailedError: There is no video stream, no decoder for its codec, or its frames are too large.
    """
    if stream is None:
        raise TaskFailedError(f"{file.name}: the file has only audio, no video")
    if _decoder(stream) is None:
        raise TaskFailedError(f"{file.name}: the video codec is not supported")
    if stream.width * stream.height > PIXEL_LIMIT:
        raise TaskFailedError(
            f"{file.name}: a frame of {stream.width} x {stream.height} pixels is larger than "
            f"the limit of {PIXEL_LIMIT:,} pixels"
        )
    stream.thread_type = "AUTO"
    return stream
