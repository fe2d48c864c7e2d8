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


def hash_key_frames(file: Path, report: Callable[[int], None]) -> str:
    """Compute the SHA-512 of the I-frames of the first video stream, in the order in which they are shown.

    For each frame, it hashes as many bytes of the file as its packet has, from the packet's position. So do
    real servers, with the numbers of ffprobe. In MP4, these bytes are the packet. In Matroska and MPEG
    containers they begin with a header of the container. A packet without a position, as MPEG program streams
    have some, is hashed itself; real servers fail.

    Args:
        file: The video.
        report: Reports progress in percent.

    Returns:
        The hash as hexadecimal digits.

    Raises:
        TaskFailedError: The video cannot be decoded, or has no I-frames.
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        try:
            return _hash_key_frames(file, stream, report)
        except TaskFailedError as exc:
            raise TaskFailedError(f"{exc}; the algorithm md5 hashes the bytes of any file") from exc


def _hash_key_frames(file: Path, stream: BinaryIO, report: Callable[[int], None]) -> str:
    size = max(1, file.stat().st_size)
    digest, frames = hashlib.sha512(usedforsecurity=False), 0
    with video_errors(file), open_container(file) as container:
        for frame in _key_frames(container, _first_video(container, file)):
            frames += 1
            if isinstance(frame, bytes):
                digest.update(frame)
            else:
                for block in _blocks(stream, frame):
                    digest.update(block)
                report(min(99, frame.start * 100 // size))
    if not frames:
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
    """Yield the packets of I-frames. Damaged packets are skipped; damage of the container ends it."""
    stream.codec_context.flags |= Flags.copy_opaque
    stream.codec_context.skip_frame = "NONINTRA"  # several times faster
    with suppress(FFmpegError):
        for packet in container.demux(stream):
            yield from _key_frames_of(packet)


def _key_frames_of(packet: Packet[VideoStream]) -> Iterator[_Place | bytes]:
    """Decode a packet, which may return the frame of an earlier one; a frame has its packet's opaque."""
    packet.opaque = bytes(packet) if packet.pos is None else _Place(packet.pos, packet.size)
    with suppress(FFmpegError):
        for frame in packet.decode():
            if frame.pict_type == PictureType.I and isinstance(frame.opaque, _Place | bytes):
                yield frame.opaque
