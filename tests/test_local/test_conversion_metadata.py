"""What a converted image keeps of EXIF, XMP and IPTC, from every format into every format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image, PngImagePlugin
from pydantic import TypeAdapter

from described_pictures import (
    AUTHOR,
    IPTC,
    RIGHTS,
    TITLE,
    XMP,
    app13,
    exif_block,
    exiftool_tags,
    resource,
    write_described,
)
from pictures import assert_corners, corners_picture
from raw_files import write_dng

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client._core.choices import ImageFormat
    from conversions import Converter

SOURCES = (
    "photo.jpg",
    "photo.png",
    "photo.webp",
    "photo.avif",
    "photo.heic",
    "photo.tiff",
    "photo.gif",
    "photo.psd",
)
TARGETS: tuple[ImageFormat, ...] = ("jpg", "png", "webp", "tiff", "gif", "bmp")
WITH_EXIF = frozenset(
    {"photo.jpg", "photo.png", "photo.webp", "photo.avif", "photo.heic", "photo.tiff", "photo.psd"}
)
WITH_IPTC = frozenset({"photo.jpg", "photo.tiff", "photo.psd"})
TEXT = TypeAdapter(str)
BYTES = TypeAdapter(bytes)
NUMBER = TypeAdapter(float)


def xmp_of(image: Image.Image) -> bytes:
    return BYTES.validate_python(image.info.get("xmp", b""))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source_name", SOURCES)
def test_xmp_stays_byte_for_byte_or_is_said_to_be_dropped(
    tmp_path: Path, convert: Converter, source_name: str, target: ImageFormat
) -> None:
    source = tmp_path / source_name
    write_described(source)
    result = convert(source, target)
    if target in {"gif", "bmp"}:
        assert "XMP" in convert.dropped
        assert b"xmpmeta" not in result.read_bytes()
        return
    assert "XMP" not in convert.dropped
    with Image.open(result) as image:
        image.load()
        assert_corners(image)
        assert xmp_of(image).rstrip(b"\0") == XMP
    tags = exiftool_tags(result)
    if tags is not None:
        assert tags["XMP-dc:Title"] == TITLE
        assert tags["XMP-xmp:Rating"] == 4
        assert tags["XMP-photoshop:Instructions"] == "one\ntwo"
        assert "ExifTool:Warning" not in tags


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source_name", SOURCES)
def test_iptc_stays_where_the_format_has_it(
    tmp_path: Path, convert: Converter, source_name: str, target: ImageFormat
) -> None:
    source = tmp_path / source_name
    write_described(source)
    result = convert(source, target)
    keeps = source_name in WITH_IPTC and target in {"jpg", "tiff"}
    assert ("IPTC" in convert.dropped) == (source_name in WITH_IPTC and not keeps)
    assert (IPTC in result.read_bytes()) == keeps
    tags = exiftool_tags(result)
    if tags is not None and keeps:
        assert tags["IPTC:Keywords"] == ["ferry", "fog"]
        assert tags["IPTC:By-line"] == "Smith"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source_name", sorted(WITH_EXIF - {"photo.tiff"}))
def test_exif_values_stay_as_they_are(
    tmp_path: Path, convert: Converter, source_name: str, target: ImageFormat, order: str
) -> None:
    source = tmp_path / source_name
    write_described(source, exif=exif_block(order))
    result = convert(source, target)
    assert ("EXIF" in convert.dropped) == (target in {"gif", "bmp"})
    assert "embedded preview" in convert.dropped
    if target in {"gif", "bmp"}:
        assert b"Fotowerk" not in result.read_bytes()
        return
    with Image.open(result) as image:
        exif = image.getexif()
        details, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
        assert exif[0x010F] == "Fotowerk"
        assert exif[0x4746] == 4
        assert details[0x829A] == 1 / 250
        assert NUMBER.validate_python(details[0x9204]) == pytest.approx(-2 / 3)
        assert details[0x9290] == "25"
        assert details[0x9286] == b"ASCII\0\0\0seen from the pier"
        assert details[0x927C] == b"maker note of 24 bytes.."
        assert {0xA002, 0xA003}.isdisjoint(details)
        assert place[2] == (45, 58, 35)
    content = result.read_bytes()
    assert RIGHTS.encode() in content
    assert content.count(AUTHOR.encode()) == 2, "of the artist and of the owner of the camera"
    tags = exiftool_tags(result)
    if tags is not None:
        assert tags["IFD0:Copyright"] == RIGHTS
        assert tags["ExifIFD:OwnerName"] == AUTHOR
        assert tags["ExifIFD:UserComment"] == "seen from the pier"
        assert tags["ExifIFD:LensModel"] == "85mm"
        assert not any(tag.startswith("IFD1:") for tag in tags)


@pytest.mark.parametrize("target", TARGETS)
def test_a_tiffs_own_tags_are_no_metadata(tmp_path: Path, convert: Converter, target: ImageFormat) -> None:
    source = tmp_path / "photo.tiff"
    write_described(source)
    result = convert(source, target)
    if target in {"gif", "bmp"}:
        assert "EXIF" in convert.dropped
        return
    with Image.open(result) as image:
        exif = image.getexif()
        assert exif[0x010F] == "Fotowerk"
        assert exif.get_ifd(0x8769)[0x9003] == "2024:05:01 10:20:30"
        if target != "tiff":
            assert {256, 257, 258, 259, 273, 279}.isdisjoint(exif)
    assert RIGHTS.encode() in result.read_bytes()


STALE = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:e="http://ns.google.com/photos/1.0/camera/"
 xmlns:xapGImg="http://ns.adobe.com/xap/1.0/g/img/" xmlns:c="http://ns.google.com/photos/1.0/container/"
 xmlns:i="http://ns.google.com/photos/1.0/container/item/" xmlns:g="http://ns.adobe.com/hdr-gain-map/1.0/"
 tiff:Orientation = '6' xmp:Rating="3" e:MotionPhoto="1" e:MotionPhotoVersion="1" g:Version="1.0"
 exif:PixelXDimension="64" tiff:Make="Canon &gt; &quot;5&quot;">
 <tiff:ImageWidth>64</tiff:ImageWidth><exif:PixelYDimension/>
 <xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xapGImg:image>/9j/</xapGImg:image></rdf:li>
 </rdf:Alt></xmp:Thumbnails>
 <c:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><c:Item i:Length="9"/></rdf:li></rdf:Seq>
 </c:Directory>
 <xmp:Label>Blue</xmp:Label><!-- kept -->
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_xmp_about_the_file_as_it_was_is_cut_out(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, xmp=STALE, quality=95)
    with Image.open(convert(source, "png")) as image:
        xmp = xmp_of(image)
    for word in ("Orientation", "Pixel", "ImageWidth", "Thumbnails", "MotionPhoto", "Directory", "g:Version"):
        assert word.encode() not in xmp
    assert b'xmp:Rating="3"' in xmp
    assert b'tiff:Make="Canon &gt; &quot;5&quot;"' in xmp
    assert b"<xmp:Label>Blue</xmp:Label><!-- kept -->" in xmp
    assert {"embedded preview", "motion video", "gain map"} <= {*convert.dropped}
    assert "XMP" not in convert.dropped
    tags = exiftool_tags(tmp_path / "output" / "converted.png")
    if tags is not None:
        assert tags["XMP-xmp:Label"] == "Blue"
        assert tags["XMP-tiff:Make"] == 'Canon > "5"'


REGIONS = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="2">
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag/></mwg-rs:RegionList></mwg-rs:Regions>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("orientation", [1, 6])
def test_places_of_faces_stay_unless_the_picture_is_turned(
    tmp_path: Path, convert: Converter, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9214] = (10, 20, 5, 5)
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, xmp=REGIONS, exif=exif)
    with Image.open(convert(source, "jpg")) as image:
        assert (b"mwg-rs:Regions" in xmp_of(image)) == (orientation == 1)
        assert (0x9214 in image.getexif().get_ifd(0x8769)) == (orientation == 1)
    assert ("image regions" in convert.dropped) == (orientation == 6)


@pytest.mark.parametrize(
    "xmp",
    [
        b"<x:xmpmeta><broken",
        b'<!DOCTYPE a [<!ENTITY b "'
        + b"c" * 100
        + b'">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;&b;</x:xmpmeta>',
        XMP.replace("ä".encode(), b"\xe4"),
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>".encode("utf-16"),
    ],
    ids=["cut", "with entities", "in Latin-1", "in UTF-16"],
)
def test_invalid_xmp_is_dropped(tmp_path: Path, convert: Converter, xmp: bytes) -> None:
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, xmp=xmp)
    with Image.open(convert(source, "png")) as image:
        assert xmp_of(image) == b""
    assert "XMP" in convert.dropped


def test_xmp_too_long_for_a_jpeg_loses_its_longest_properties(tmp_path: Path, convert: Converter) -> None:
    history = b"<xmp:History>" + b"step " * 20_000 + b"</xmp:History>"
    source = tmp_path / "edited.png"
    write_described(source, xmp=XMP.replace(b"<dc:title>", history + b"<dc:title>"))
    with Image.open(convert(source, "jpg")) as image:
        assert xmp_of(image) == XMP
    assert "extended XMP" in convert.dropped
    with Image.open(convert(source, "webp")) as image:
        assert history in xmp_of(image)
    assert "extended XMP" not in convert.dropped


def test_iptc_over_two_segments_is_joined(tmp_path: Path, convert: Converter) -> None:
    blocks = resource(0x03F3, bytes(9)) + resource(0x0404, IPTC) + resource(0x040A, b"\x01")
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, extra=app13(blocks[:40]) + app13(blocks[40:]))
    content = convert(source, "jpg").read_bytes()
    assert resource(0x0404, IPTC) in content
    assert resource(0x040A, b"\x01") in content, "the copyright flag"
    assert resource(0x03F3, bytes(9)) not in content, "print flags"


def test_iptc_of_a_tiff_that_is_stored_as_swapped_numbers(tmp_path: Path, convert: Converter) -> None:
    padded = IPTC + bytes(-len(IPTC) % 4)
    swapped = b"".join(padded[at : at + 4][::-1] for at in range(0, len(padded), 4))
    source = tmp_path / "scan.tiff"
    write_described(source, iptc=swapped)
    assert resource(0x0404, IPTC) in convert(source, "jpg").read_bytes()


def test_older_programs_metadata_in_png_text(tmp_path: Path, convert: Converter) -> None:
    info = PngImagePlugin.PngInfo()
    for name, content in (
        ("exif", b"Exif\0\0" + exif_block()),
        ("iptc", resource(0x0404, IPTC)),
        ("xmp", XMP),
    ):
        info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(content):8}\n{content.hex()}\n", zip=True)
    source = tmp_path / "photo.png"
    corners_picture().save(source, pnginfo=info)
    result = convert(source, "jpg")
    assert IPTC in result.read_bytes()
    with Image.open(result) as image:
        assert image.getexif()[0x010F] == "Fotowerk"
        assert xmp_of(image) == XMP


def test_png_texts_stay_in_a_png(tmp_path: Path, convert: Converter) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a lighthouse, steps: 20")
    info.add_text("Author", "Zoë 灯台")
    info.add_text("duration", "long")  # Pillow would take some keywords for options
    info.add_text("loop", "yes")
    source = tmp_path / "drawn.png"
    corners_picture().save(source, pnginfo=info)
    with Image.open(convert(source, "png")) as image:
        image.load()
        assert TEXT.validate_python(image.info["parameters"]) == "a lighthouse, steps: 20"
        assert TEXT.validate_python(image.info["Author"]) == "Zoë 灯台"
    assert convert.dropped == ()
    convert(source, "gif")
    assert "PNG text" in convert.dropped


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source_name", ["photo.jpg", "photo.gif"])
def test_a_comment_stays_in_jpeg_and_gif(
    tmp_path: Path, convert: Converter, source_name: str, target: ImageFormat
) -> None:
    source = tmp_path / source_name
    corners_picture().save(source, comment=b"from the attic")
    kept = b"from the attic" in convert(source, target).read_bytes()
    assert kept == (target in {"jpg", "gif"})
    assert ("comment" in convert.dropped) == (not kept)


@pytest.mark.parametrize("target", ["jpg", "png", "tiff", "bmp"])
def test_the_resolution_for_printing_stays(tmp_path: Path, convert: Converter, target: ImageFormat) -> None:
    source = tmp_path / "scan.png"
    corners_picture().save(source, dpi=(300, 300))
    with Image.open(convert(source, target)) as image:
        assert TypeAdapter(tuple[float, float]).validate_python(image.info["dpi"]) == pytest.approx(
            (300, 300), abs=0.1
        )


def test_maker_notes_too_long_for_jpeg_are_named(tmp_path: Path, convert: Converter) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    exif.get_ifd(0x8769)[0x927C] = bytes(70_000)
    source = tmp_path / "photo.png"
    corners_picture().save(source, exif=exif)
    convert(source, "jpg")
    assert convert.dropped == ("maker note",)
    with Image.open(convert(source, "webp")) as image:
        assert image.getexif().get_ifd(0x8769)[0x927C] == bytes(70_000)
    assert convert.dropped == ()


def test_the_colour_space_of_cameras_without_a_profile_stays(tmp_path: Path, convert: Converter) -> None:
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    details[0xA001] = 0xFFFF
    details[0xA005] = {1: "R03", 2: b"0100", 0x1001: 96}
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, exif=exif)
    with Image.open(convert(source, "png")) as image:
        interop = image.getexif().get_ifd(0xA005)
    assert interop == {1: "R03", 2: b"0100"}, "Adobe RGB, and no size in pixels"


def test_xmp_in_another_kind_of_png_text(tmp_path: Path, convert: Converter) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("XML:com.adobe.xmp", XMP[XMP.index(b"<x:") :].decode("latin-1"), zip=True)
    source = tmp_path / "photo.png"
    corners_picture().save(source, pnginfo=info)
    with Image.open(convert(source, "jpg")) as image:
        assert xmp_of(image) == XMP[XMP.index(b"<x:") :]
    assert convert.dropped == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_damaged_metadata_never_stops_a_conversion(tmp_path: Path, convert: Converter, order: str) -> None:
    source = tmp_path / "photo.jpg"
    block = exif_block(order)
    for position in range(0, len(block), 3):
        damaged = block[:position] + b"\xff\xf0\xff" + block[position + 3 :]
        corners_picture((16, 16)).save(
            source, exif=b"Exif\0\0" + damaged, extra=app13(resource(0x0404, IPTC))
        )
        for target in ("tiff", "jpg"):
            with Image.open(convert(source, target)) as image:
                assert image.size == (16, 16)
    for length in range(0, len(IPTC) + 12, 5):
        corners_picture((16, 16)).save(source, extra=app13(resource(0x0404, IPTC)[:length]))
        convert(source, "tiff")


@pytest.mark.parametrize("preview", [False, True], ids=["developed", "with a preview"])
def test_a_raw_photo_keeps_its_exif(tmp_path: Path, convert: Converter, preview: bool) -> None:  # noqa: FBT001 - a parameter of the test
    source = tmp_path / "photo.dng"
    photo = corners_picture((320, 240))
    write_dng(source, photo, orientation=6, preview=photo if preview else None)
    for target in ("jpg", "tiff"):
        with Image.open(convert(source, target)) as image:
            exif = image.getexif()
            assert image.size == (240, 320)
        assert exif[0x010F] == "Example"
        assert exif.get(0x0112, 1) == 1
        assert "raw data" in convert.dropped


def test_other_parts_of_a_jpeg_are_named(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "photo.jpg"
    picture = corners_picture()
    picture.save(source, "MPO", save_all=True, append_images=[picture.resize((48, 32))])
    convert(source, "jpg")
    assert convert.dropped == ("other images",)
    mark = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"
    picture.save(source, extra=b"\xff\xe2" + (len(mark) + 2).to_bytes(2, "big") + mark)
    convert(source, "png")
    assert convert.dropped == ("gain map",)
    note = b'xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="0123"'
    picture.save(source, xmp=XMP.replace(b'rdf:about=""', b'rdf:about="" ' + note))
    with Image.open(convert(source, "png")) as image:
        assert b"HasExtendedXMP" not in xmp_of(image)
        assert b'xmp:Rating="4"' in xmp_of(image)
    assert convert.dropped == ("extended XMP",)


def test_a_photo_that_could_have_been_a_motion_photo_has_lost_no_video(
    tmp_path: Path, convert: Converter
) -> None:
    source = tmp_path / "photo.jpg"
    corners_picture().save(source, xmp=STALE.replace(b'e:MotionPhoto="1"', b'e:MotionPhoto="0"'))
    convert(source, "png")
    assert "motion video" not in convert.dropped


def test_xmp_of_which_nothing_is_left_is_not_written(tmp_path: Path, convert: Converter) -> None:
    source = tmp_path / "photo.jpg"
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"/>'
        b"</rdf:RDF></x:xmpmeta>"
    )
    corners_picture().save(source, xmp=xmp)
    assert b"xmpmeta" not in convert(source, "jpg").read_bytes()
    assert convert.dropped == ()
