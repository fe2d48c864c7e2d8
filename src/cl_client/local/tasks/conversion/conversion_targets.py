"""The formats that images are converted to, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cl_client._core.choices import ImageFormat


@dataclass(frozen=True, slots=True)
class Target:
    """The features of a format.

    Attributes:
        name: Pillow's name of the format.
        modes: Pixel modes, with or without alpha channel, that are written without conversion.
        max_side: Maximum of width and height in pixels; None if only memory is the limit.
        alpha: Whether transparency is kept; otherwise it becomes white.
        animated: Whether it supports more than one frame.
        lossy: Whether it has a quality setting.
        metadata: Whether it supports EXIF, XMP and an ICC profile.
        iptc: Whether it supports IPTC.
        comment: Whether it supports a comment.
        dpi: Whether it supports a resolution for printing.
    """

    name: str
    modes: frozenset[str]
    max_side: int | None = None
    alpha: bool = True
    animated: bool = True
    lossy: bool = False
    metadata: bool = True
    iptc: bool = False
    comment: bool = False
    dpi: bool = False


_JPEG: Final = Target(
    "JPEG", frozenset({"L", "RGB"}), max_side=65_500, alpha=False, animated=False, lossy=True,
    iptc=True, comment=True, dpi=True,
)  # fmt: skip
TARGETS: Final[Mapping[ImageFormat, Target]] = {
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "png": Target("PNG", frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}), dpi=True),
    "webp": Target("WEBP", frozenset({"RGB", "RGBA"}), max_side=16_383, lossy=True),
    "gif": Target(
        "GIF", frozenset({"1", "L", "P", "RGB", "RGBA"}), max_side=65_535, metadata=False, comment=True
    ),
    "bmp": Target(
        "BMP", frozenset({"1", "L", "P", "RGB"}), alpha=False, animated=False, metadata=False, dpi=True
    ),
    "tiff": Target(
        "TIFF", frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "I", "F"}), iptc=True, dpi=True
    ),
}
