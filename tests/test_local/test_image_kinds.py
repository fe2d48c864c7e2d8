"""What is said of images in formats that are not supported, and of damaged ones."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from PIL import ImageCms, PngImagePlugin

from cl_client.local.tasks import media_thumbnail
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.media_types import detect_media_type
from cl_client.plugins.media_thumbnail import MediaThumbnailParams
from pictures import assert_corners, corners_picture

if TYPE_CHECKING:
    from pathlib import Path

KINDS = [
    (b"\xff\x0a\xfa\x1f", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
    (b"II\xbc\x01\x20\0\0\0", "JPEG XR"),
    (b"\xff\xd8\xff\xf7\0\x0b", "JPEG-LS"),
    (b"8BPS\0\x02" + bytes(6) + b"\0\x03", "Photoshop PSB"),
    (b"gimp xcf v011\0", "GIMP XCF"),
    (b"v/1\x01\x02\0\0\0channels", "OpenEXR"),
    (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR"),
    (b"BPG\xfb", "BPG"),
    (b"AT&TFORM\0\0\0\0DJVU", "DjVu"),
    (b"\xd7\xcd\xc6\x9a", "Windows Metafile"),
    (b"\x01\0\0\0" + bytes(36) + b" EMF", "Windows Metafile"),
    (bytes(128) + b"DICM", "DICOM"),
    (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
]
DOCUMENTS = [(b"%PDF-1.7\n", "PDF"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript")]


@pytest.mark.parametrize(("start", "kind"), KINDS + DOCUMENTS)
def test_formats_that_are_not_supported_are_named(tmp_path: Path, start: bytes, kind: str) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(start + bytes(200))
    context = TaskContext(MediaThumbnailParams(), file, tmp_path / "thumbnail.jpg", tmp_path, print)
    message = rf"^photo\.jpg: not an image in a supported format \({kind}\); convert it to JPEG or PNG first$"
    with pytest.raises(TaskFailedError, match=message):
        media_thumbnail.run(context)


@pytest.mark.parametrize(("start", "kind"), KINDS)
def test_they_are_images_nevertheless(tmp_path: Path, start: bytes, kind: str) -> None:
    file = tmp_path / kind
    file.write_bytes(start + bytes(200))
    assert detect_media_type(file) == "image"


@pytest.mark.parametrize(("start", "kind"), DOCUMENTS)
def test_documents_are_no_images(tmp_path: Path, start: bytes, kind: str) -> None:
    file = tmp_path / kind
    file.write_bytes(start + bytes(200))
    assert detect_media_type(file) == "unknown"


@pytest.mark.parametrize("image_format", ["AVIF", "PNG", "GIF"])
def test_a_damaged_header_is_not_an_unknown_format(tmp_path: Path, image_format: str) -> None:
    file = tmp_path / "photo"
    corners_picture().save(file, image_format)
    file.write_bytes(file.read_bytes()[:12])
    message = (
        rf"^photo: the image is damaged, truncated or of a rare kind of {image_format} that is not supported$"
    )
    with pytest.raises(TaskFailedError, match=message), open_picture(file, pytest.fail):
        pass


@pytest.mark.parametrize("part", ["profile", "text"])
def test_a_png_with_a_large_compressed_part(tmp_path: Path, part: str) -> None:
    file = tmp_path / "screenshot.png"
    texts = PngImagePlugin.PngInfo()
    profile = b""
    if part == "text":
        texts.add_text("workflow", "steps " * 500_000, zip=True)
    else:
        small = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - Pillow leaves its return type out
        profile = struct.pack(">I", len(small) + 2_000_000) + small[4:] + bytes(2_000_000)
    corners_picture((64, 48)).save(file, pnginfo=texts, icc_profile=profile or None)
    limit = PngImagePlugin.MAX_TEXT_CHUNK
    with open_picture(file, pytest.fail) as image:
        assert_corners(image)
        assert image.info.get("icc_profile", b"") == profile
    assert limit == PngImagePlugin.MAX_TEXT_CHUNK
