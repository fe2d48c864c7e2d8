"""The hash of a video's key frames, as they are stored in the file."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from av.codec.context import Flags
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import PictureType

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.videos.opening import open_container, require_decodable, video_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_BLOCK_SIZE: Final = 1024 * 1024


class _Place(NamedTuple):
    """Where the bytes of a packet are in the file."""

    start: int
    size: int


def hash_key_frames(file: Path, report: Callable[[int], None], warn: Callable[[str], None]) -> str:
    """Compute the SHA-512 of the I-frames of the first video stream, in the order in which they are shown.

    For each frame, it hashes as many bytes of the file as its packet has, from the packet's position. So do
    real servers, with the numbers of ffprobe. In MP4, these bytes are the packet. In Matroska and MPEG
    containers they begin with a header of the container. A packet without a position, as MPEG program streams
    have some, is hashed itself; real servers fail.

    Args:
        file: The video.
        report: Reports progress in percent.
        warn: Called if a part of the video cannot be decoded.

    Returns:
        The hash as hexadecimal digits.

    Raises:
        TaskFailedError: The video cannot be decoded, or has no I-frames.
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        try:
            with video_errors(file):
                return _hash_key_frames(file, stream, report, warn)
        except TaskFailedError as exc:
            raise TaskFailedError(f"{exc}; the algorithm md5 hashes the bytes of any file") from exc


def _hash_key_frames(
    file: Path, stream: BinaryIO, report: Callable[[int], None], warn: Callable[[str], None]
) -> str:
    size = max(1, file.stat().st_size)

    def told(frames: Iterator[_Place | bytes]) -> Iterator[_Place | bytes]:
        for frame in frames:
            if isinstance(frame, _Place):
                report(min(99, frame.start * 100 // size))
            yield frame

    try:
        with open_container(file) as container:
            return _digest(told(_key_frames(container, _first_video(container, file))), stream, file)
    except FFmpegError:
        pass  # after an error, PyAV drops the frames that the decoder still holds
    with open_container(file) as container:
        digest = _digest(_all_key_frames(container, _first_video(container, file)), stream, file)
    warn("a part of the video cannot be decoded: the hash covers the key frames of the others")
    return digest


def _digest(frames: Iterator[_Place | bytes], stream: BinaryIO, file: Path) -> str:
    digest, empty = hashlib.sha512(usedforsecurity=False), True
    for frame in frames:
        empty = False
        for block in [frame] if isinstance(frame, bytes) else _blocks(stream, frame):
            digest.update(block)
    if empty:
        raise TaskFailedError(f"{file.name}: no key frame of the video can be decoded")
    return digest.hexdigest()


def _blocks(stream: BinaryIO, place: _Place) -> Iterator[bytes]:
    stream.seek(place.start)
    left = place.size
    while left > 0 and (block := stream.read(min(left, _BLOCK_SIZE))):
        yield block
        left -= len(block)


def _first_video(container: InputContainer, file: Path) -> VideoStream:
    """Return the first stream, not the default one, as real servers do; but no cover."""
    streams = container.streams.video
    stream = next((one for one in streams if not one.disposition & Disposition.attached_pic), None)
    return require_decodable(stream, file)


def _key_frames(container: InputContainer, stream: VideoStream) -> Iterator[_Place | bytes]:
    """Yield the packets of I-frames."""
    for packet in _placed_packets(container, stream):
        yield from _decoded(stream, packet)


def _all_key_frames(container: InputContainer, stream: VideoStream) -> Iterator[_Place | bytes]:
    """Yield the packets of I-frames of a damaged video, without those that cannot be decoded."""
    stream.thread_type = "SLICE"  # a decoder of many frames at once reports an error late
    with suppress(FFmpegError):
        for packet in _placed_packets(container, stream):
            with suppress(FFmpegError):
                yield from _decoded(stream, packet)
        return
    with suppress(FFmpegError):
        yield from _decoded(stream, None)  # what the decoder still holds, after an error of the container


def _placed_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    stream.codec_context.flags |= Flags.copy_opaque
    stream.codec_context.skip_frame = "NONINTRA"  # several times faster
    # PyAV raises an IndexError after the last packet if a stream has appeared meanwhile, as in TV recordings.
    with suppress(IndexError):
        for packet in container.demux(stream):
            packet.opaque = bytes(packet) if packet.pos is None else _Place(packet.pos, packet.size)
            yield packet


def _decoded(stream: VideoStream, packet: Packet[VideoStream] | None) -> Iterator[_Place | bytes]:
    """Yield what belongs to each I-frame that is ready; it may be that of an earlier packet."""
    for frame in stream.codec_context.decode(packet):  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its packets' type open
        if frame.pict_type == PictureType.I and isinstance(frame.opaque, _Place | bytes):
            yield frame.opaque
