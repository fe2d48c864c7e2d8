"""The hash of an image is that of the pixels as Pillow alone decodes them."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

import pytest
from PIL import ImageFile

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.hashing.pixels import hash_pixels
from expected_hashes import pixels_of
from pictures import corners_picture
from pixel_files import FILES, MORE, photo, saved, turned
from raw_files import write_dng

if TYPE_CHECKING:
    from pathlib import Path

DAMAGED: Final = (
    "the image is truncated or damaged: the hash covers the pixels that could be decoded, and a filling"
)


def of_pillow(content: bytes) -> str:
    """The hash as a real server computes it."""
    return hashlib.sha512(pixels_of(content)).hexdigest()


def hashed(folder: Path, content: bytes) -> tuple[str, list[str]]:
    file = folder / "photo"
    file.write_bytes(content)
    warnings: list[str] = []
    return hash_pixels(file, lambda _: None, warnings.append), warnings


@pytest.mark.parametrize("name", FILES)
def test_the_hash_is_that_of_the_decoded_pixels(tmp_path: Path, name: str) -> None:
    content = FILES[name]()
    assert hashed(tmp_path, content) == (of_pillow(content), [])


def test_an_image_that_is_stored_without_loss_has_the_hash_of_its_pixels(tmp_path: Path) -> None:
    expected = hashlib.sha512(photo().tobytes()).hexdigest()
    for image_format in ("PNG", "BMP", "TIFF", "PPM", "QOI"):
        assert hashed(tmp_path, saved(photo(), image_format))[0] == expected


def test_what_does_not_count(tmp_path: Path) -> None:
    """Metadata, the orientation, colour profiles, further frames."""
    plain = hashed(tmp_path, saved(photo(), "JPEG"))
    assert hashed(tmp_path, saved(photo(), "JPEG", exif=turned())) == plain
    assert hashed(tmp_path, saved(photo(), "JPEG", comment=b"a holiday", icc_profile=b"x" * 200)) == plain
    alone = hashed(tmp_path, saved(photo("P"), "GIF"))
    assert hashed(tmp_path, saved(photo("P"), "GIF", save_all=True, append_images=MORE[:1])) == alone


def test_what_counts(tmp_path: Path) -> None:
    """Another quality, and one pixel."""
    changed = photo()
    changed.putpixel((60, 36), (1, 2, 3))
    files = [
        saved(photo(), "JPEG"),
        saved(photo(), "JPEG", quality=76),
        saved(photo(), "PNG"),
        saved(changed, "PNG"),
    ]
    assert len({hashed(tmp_path, content)[0] for content in files}) == len(files)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "PNG, palette", "GIF", "BMP", "PPM", "TIFF", "JPEG, CMYK"])
def test_a_truncated_image(tmp_path: Path, name: str) -> None:
    content = FILES[name]()
    content = content[: len(content) * 3 // 4]
    assert hashed(tmp_path, content) == (of_pillow(content), [DAMAGED])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_png_with_a_wrong_checksum(tmp_path: Path) -> None:
    content = bytearray(saved(photo(), "PNG", dpi=(300, 300)))
    content[content.index(b"pHYs") + 13] ^= 1
    assert hashed(tmp_path, bytes(content)) == (of_pillow(bytes(content)), [DAMAGED])


def test_a_photoshop_file_has_the_hash_of_what_it_shows(tmp_path: Path) -> None:
    pixels = bytes(range(3 * 4 * 2))
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 2, 4, 8, 3)
    content = header + bytes(12) + bytes(2) + pixels
    planes = [pixels[at : at + 8] for at in (0, 8, 16)]
    interleaved = b"".join(bytes(rgb) for rgb in zip(*planes, strict=True))
    expected = hashlib.sha512(interleaved).hexdigest()
    assert hashed(tmp_path, content) == (expected, [])


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", r"the image is truncated"),
        (b"GIF89a", r"damaged, truncated or of a rare kind of GIF"),
        (b"\xff\x0a\xfa\x1f" + bytes(50), r"not an image in a supported format \(JPEG XL\)"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', r"not an image in a supported format \(SVG\)"),
        (b"II\x1a\0\0\0HEAPCCDR" + bytes(99), r"the pixels of RAW \(Canon CRW\) cannot be hashed"),
    ],
)
def test_an_image_that_pillow_cannot_open_fails_with_the_remedy(
    tmp_path: Path, content: bytes, cause: str
) -> None:
    with pytest.raises(TaskFailedError, match=rf"^photo: .*{cause}.*; the algorithm md5 hashes the bytes"):
        hashed(tmp_path, content)


def test_a_raw_photo_that_pillow_opens_has_the_hash_of_what_it_opens(tmp_path: Path) -> None:
    """Real servers develop no raw photos; of most, Pillow opens the preview."""
    write_dng(tmp_path / "photo.dng", corners_picture((96, 64)))
    content = (tmp_path / "photo.dng").read_bytes()
    assert hashed(tmp_path, content) == (of_pillow(content), [])


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    file = tmp_path / "photo.bmp"
    photo(size=(3000, 1500)).save(file)
    progress: list[int] = []
    hash_pixels(file, progress.append, print)
    assert progress[0] == 50
    assert progress == sorted(progress)
    assert progress[-1] == 99
    assert len(progress) > 3


def test_an_image_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskFailedError, match="larger than the limit of"):
        hashed(tmp_path, b"P6 40000 40000 255\n" + bytes(100))
