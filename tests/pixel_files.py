"""Image files of many kinds, of noise, so that every pixel counts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
import pillow_heif
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZE: Final = (61, 37)  # odd: a row of 1 bit per pixel ends within a byte
TURNED: Final = 6


def photo(mode: str = "RGB", size: tuple[int, int] = SIZE, seed: int = 1) -> Image.Image:
    """Noise, so that every pixel counts."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    if mode == "I;16":
        return Image.fromarray(noise[:, :, 0].astype(np.uint16) * 257)
    if mode == "RGBA":
        image.putalpha(image.getchannel("G"))
    return image if mode in {"RGB", "RGBA"} else image.convert(mode)


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    content = io.BytesIO()
    image.save(content, image_format, **options)
    return content.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = TURNED
    exif[0x010F] = "Example Works"
    return exif


MORE: Final[Sequence[Image.Image]] = (photo(seed=2), photo(seed=3, size=(20, 50)))
FILES: Final[dict[str, Callable[[], bytes]]] = {
    "JPEG": lambda: saved(photo(), "JPEG"),
    "JPEG, grey": lambda: saved(photo("L"), "JPEG"),
    "JPEG, CMYK": lambda: saved(photo("CMYK"), "JPEG"),
    "JPEG, progressive, 4:2:0": lambda: saved(photo(), "JPEG", progressive=True, subsampling=2),
    "JPEG, turned": lambda: saved(photo(), "JPEG", exif=turned()),
    "MPO": lambda: saved(photo(), "MPO", save_all=True, append_images=[photo(seed=2)]),
    "PNG": lambda: saved(photo(), "PNG"),
    "PNG, transparent": lambda: saved(photo("RGBA"), "PNG"),
    "PNG, 16-bit": lambda: saved(photo("I;16"), "PNG"),
    "PNG, 1-bit": lambda: saved(photo("1"), "PNG"),
    "PNG, palette": lambda: saved(photo("P"), "PNG"),
    "PNG, palette with a transparent colour": lambda: saved(photo("P"), "PNG", transparency=3),
    "PNG, grey and alpha": lambda: saved(photo("LA"), "PNG"),
    "PNG, turned": lambda: saved(photo(), "PNG", exif=turned()),
    "APNG": lambda: saved(photo(), "PNG", save_all=True, append_images=MORE[:1]),
    "APNG with another picture first": lambda: saved(
        photo(), "PNG", save_all=True, append_images=[photo(seed=2), photo(seed=4)], default_image=True
    ),
    "GIF": lambda: saved(photo("P"), "GIF"),
    "GIF, animated": lambda: saved(photo(), "GIF", save_all=True, append_images=MORE[:1], duration=50),
    "WebP": lambda: saved(photo(), "WEBP"),
    "WebP, lossless, transparent": lambda: saved(photo("RGBA"), "WEBP", lossless=True),
    "WebP, animated": lambda: saved(photo(), "WEBP", save_all=True, append_images=MORE[:1], lossless=True),
    "HEIC": lambda: saved(photo(), "HEIF"),
    "HEIC, transparent": lambda: saved(photo("RGBA"), "HEIF"),
    "HEIC, turned": lambda: saved(photo(), "HEIF", exif=turned()),
    "HEIC, 10-bit": lambda: saved(photo("I;16"), "HEIF"),
    "HEIC, second image primary": lambda: saved(
        photo(), "HEIF", save_all=True, append_images=MORE[1:], primary_index=1
    ),
    "AVIF": lambda: saved(photo(), "AVIF"),
    "AVIF, turned": lambda: saved(photo(), "AVIF", exif=turned()),
    "AVIF, animated": lambda: saved(photo(), "AVIF", save_all=True, append_images=MORE[:1]),
    "TIFF": lambda: saved(photo(), "TIFF"),
    "TIFF, turned": lambda: saved(photo(), "TIFF", exif=turned()),
    "TIFF, LZW": lambda: saved(photo(), "TIFF", compression="tiff_lzw"),
    "TIFF, pages": lambda: saved(photo(), "TIFF", save_all=True, append_images=MORE),
    "TIFF, CMYK": lambda: saved(photo("CMYK"), "TIFF"),
    "TIFF, 16-bit": lambda: saved(photo("I;16"), "TIFF"),
    "TIFF, 32-bit": lambda: saved(photo("I"), "TIFF"),
    "TIFF, floats": lambda: saved(photo("F"), "TIFF"),
    "TIFF, Lab": lambda: saved(photo("LAB"), "TIFF"),
    "TIFF, 1-bit fax": lambda: saved(photo("1"), "TIFF", compression="group4"),
    "BMP": lambda: saved(photo(), "BMP"),
    "BMP, 1-bit": lambda: saved(photo("1"), "BMP"),
    "JPEG 2000": lambda: saved(photo(), "JPEG2000"),
    "ICO": lambda: saved(photo("RGBA").resize((32, 32)), "ICO"),
    "ICNS": lambda: saved(photo().resize((32, 32)), "ICNS"),
    "PPM": lambda: saved(photo(), "PPM"),
    "PBM": lambda: saved(photo("1"), "PPM"),
    "PCX": lambda: saved(photo("P"), "PCX"),
    "QOI": lambda: saved(photo(), "QOI"),
    "many strips": lambda: saved(photo(size=(3000, 1500)), "BMP"),
    "one column": lambda: saved(photo(size=(1, 9000)), "PNG"),
}
