"""Camera raw files as images: their preview if it is large enough, otherwise developed by LibRaw."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from PIL import ExifTags, Image, ImageFile
from typing_extensions import override

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.formats.raw_kinds import sensor_directory
from cl_client.local.tasks.images.damage import DAMAGE_ERRORS
from cl_client.local.tasks.images.orientation import stored_size, upright, upright_size

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    import rawpy

    from cl_client.local.tasks.formats.tiff_directories import TiffDirectory

_TRANSPOSED: Final = 4
"""The bit of LibRaw's `flip` that swaps width and height."""
_ORIENTATIONS: Final = (1, 2, 4, 3, 5, 8, 6, 7)
"""The EXIF orientation for each value of LibRaw's `flip`."""
_FULL_SIZE: Final = 0.9
"""A preview with this part of the width and height is full-size: cameras cut off the edges of the sensor."""
_SAME_SHAPE: Final = 0.03
"""How much the aspect ratio of a preview may differ; one with black bars or another crop differs by more."""
_SRGB_CURVE: Final = (2.4, 12.92)
"""The exponent and the slope near black of the sRGB curve (IEC 61966-2-1)."""
_REMEDY: Final = "convert it to JPEG or TIFF first"


class RawPhoto(ImageFile.ImageFile):
    """A raw file in Pillow's terms: upright, with the size of the photo, decoded on first use.

    `draft` says which size is enough, which can save developing the photo.
    """

    format = "RAW"
    format_description = "Camera raw"

    def __init__(self, file: Path, kind: str, directories: Sequence[TiffDirectory]) -> None:
        """Open a raw file.

        Args:
            file: The file.
            kind: Maker and format.
            directories: Its directories, if it is a TIFF.
        """
        self._file = file
        self._kind = kind
        self._directories = directories
        self._enough: tuple[int, int] | None = None
        self._preview: _Preview | None = None
        super().__init__(file)

    @override
    def _open(self) -> None:
        self._mode = "RGB"
        self.custom_mimetype = "image/x-dcraw"
        sensor = sensor_directory(self._directories)
        try:
            with self._raw() as raw:
                self._size = _developed_size(raw)
                self._preview = _Preview.of(raw)
        except TaskFailedError:
            # What needs no pixels, such as reading the metadata, works without LibRaw.
            if sensor is None:
                raise
            self._size = sensor.width, sensor.height
        if self._preview is not None and self._preview.is_full(self.size):
            self._size = self._preview.size
        if self._preview is not None and not self._directories:
            self.info["exif"] = self._preview.upright_exif()

    @override
    def draft(self, mode: str | None, size: tuple[int, int] | None) -> None:
        self._enough = size
        self.load()  # the size from now on is that of the pixels, as for a JPEG

    @override
    def load(self) -> Image.core.PixelAccess | None:
        if self._im is None:
            enough = self._enough or self.size
            preview = self._preview
            has_enough = preview is not None and preview.is_enough(enough, self.size)
            picture = preview.upright(enough) if preview and has_enough else self._developed(enough)
            self.im = picture.im
            self._mode, self._size = picture.mode, picture.size
            if "icc_profile" in picture.info:
                self.info["icc_profile"] = picture.info["icc_profile"]
        return Image.Image.load(self)

    @override
    def getexif(self) -> Image.Exif:
        """Return the EXIF of the file if it is a TIFF, as most are, otherwise that of the preview."""
        if not self._directories or self.fp is None:
            return super().getexif()
        exif = Image.Exif()
        self.fp.seek(0)
        exif.load_from_fp(self.fp)
        return exif

    def _developed(self, enough: tuple[int, int]) -> Image.Image:
        half = enough[0] * 2 <= self.width and enough[1] * 2 <= self.height
        with self._raw() as raw:
            return Image.fromarray(raw.postprocess(use_camera_wb=True, half_size=half, gamma=_SRGB_CURVE))

    @contextmanager
    def _raw(self) -> Generator[rawpy.RawPy]:
        name = f"{self._file.name}: RAW ({self._kind})"
        try:
            import rawpy
        except ImportError as exc:
            raise TaskFailedError(f"{name} needs rawpy on the server: install cl_client[raw]") from exc
        try:
            with rawpy.imread(str(self._file)) as raw:
                yield raw
        except (rawpy.LibRawError, rawpy.NotSupportedError) as exc:
            version = ".".join(str(part) for part in rawpy.libraw_version)
            raise TaskFailedError(
                f"{name}: LibRaw {version} cannot decode it ({_cause(exc)}); {_REMEDY}"
            ) from exc


@dataclass(frozen=True, slots=True)
class _Preview:
    """The largest embedded preview, not decoded yet if it is a JPEG, and its size when it is upright."""

    image: Image.Image
    size: tuple[int, int]

    @classmethod
    def of(cls, raw: rawpy.RawPy) -> _Preview | None:
        import rawpy

        try:
            preview = raw.extract_thumb()
            if isinstance(preview.data, bytes):
                image: Image.Image = Image.open(io.BytesIO(preview.data), formats=("JPEG",))
            else:
                image = Image.fromarray(preview.data)
        except (rawpy.LibRawError, *DAMAGE_ERRORS):  # none, or not in a format that is known
            return None
        # A preview without an orientation of its own has that of the raw file.
        image.getexif().setdefault(ExifTags.Base.Orientation, _ORIENTATIONS[raw.sizes.flip & 7])
        return cls(image, upright_size(image))

    def is_full(self, photo: tuple[int, int]) -> bool:
        return self.is_enough((round(photo[0] * _FULL_SIZE), round(photo[1] * _FULL_SIZE)), photo)

    def is_enough(self, enough: tuple[int, int], photo: tuple[int, int]) -> bool:
        width, height = self.size
        same_shape = abs(width * photo[1] / (height * photo[0]) - 1) < _SAME_SHAPE
        return same_shape and width >= enough[0] and height >= enough[1]

    def upright_exif(self) -> bytes:
        """Return its EXIF without the orientation, which holds for its stored pixels alone."""
        data: object = self.image.info.get("exif")
        exif = Image.Exif()
        try:
            exif.load(data if isinstance(data, bytes) else b"")
            exif.pop(ExifTags.Base.Orientation, None)
            return exif.tobytes()
        except DAMAGE_ERRORS:
            return b""

    def upright(self, enough: tuple[int, int]) -> Image.Image:
        self.image.draft("RGB", stored_size(self.image, enough))
        return upright(self.image).convert("RGB")


def _developed_size(raw: rawpy.RawPy) -> tuple[int, int]:
    sizes = raw.sizes
    if sizes.flip & _TRANSPOSED:
        return sizes.iheight, sizes.iwidth
    return sizes.iwidth, sizes.iheight


def _cause(exc: Exception) -> str:
    """Return the text of an error of LibRaw, which is bytes."""
    text = cast("object", exc.args[0]) if exc.args else ""
    return text.decode("ascii", errors="replace") if isinstance(text, bytes) else str(text)
