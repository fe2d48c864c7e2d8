"""What the hash of a file has to be, by Pillow and by PyAV's decoder alone."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import av
import pillow_heif
import pytest
from av.video.frame import PictureType
from PIL import Image, ImageFile

if TYPE_CHECKING:
    from pathlib import Path


def pixels_of(content: bytes) -> bytes:
    """The pixels of an image as a real server reads them: of the first frame, also of a truncated file."""
    pillow_heif.register_heif_opener()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        with Image.open(io.BytesIO(content)) as image:
            image.seek(0)
            return image.tobytes()


def shown_key_frames(path: Path) -> list[tuple[int, bytes]]:
    """Position and content of the packet of each I-frame, in the order in which they are shown.

    All frames are decoded, one after the other, and matched with the packets by their display times.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        packets = {packet.pts: packet for packet in container.demux(stream) if packet.size}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        times = [frame.pts for frame in container.decode(stream) if frame.pict_type == PictureType.I]
    found = [packets[time] for time in times]
    return [(packet.pos or 0, bytes(packet)) for packet in found]


def expected_sha512(file: Path, algorithm: str | None) -> str:
    """The hash by the server's name of what it covers: the pixels, the key frames, or the file's bytes."""
    content = file.read_bytes()
    if algorithm == "sha512_image":
        content = pixels_of(content)
    elif algorithm == "sha512_video":
        content = b"".join(content[start : start + len(packet)] for start, packet in shown_key_frames(file))
    return hashlib.sha512(content).hexdigest()
