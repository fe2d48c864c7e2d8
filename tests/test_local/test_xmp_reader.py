"""Properties of XMP packets, in all the forms in which programs write them."""

from __future__ import annotations

import pytest

from cl_client.local.tasks.formats.xmp import EXIF, TIFF, read_xmp

START = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/">'
)
END = b"</rdf:RDF></x:xmpmeta>"


def packet(content: bytes, attributes: bytes = b"") -> bytes:
    return (
        START + b'<rdf:Description rdf:about=""' + attributes + b">" + content + b"</rdf:Description>" + END
    )


@pytest.mark.parametrize(
    ("content", "attributes", "expected"),
    [
        (b"", b' tiff:Make="A &amp; B"', [(TIFF, "Make", "A & B")]),
        (b"<tiff:Make>A &amp; B</tiff:Make>", b"", [(TIFF, "Make", "A & B")]),
        (b"<tiff:Make/>", b"", [(TIFF, "Make", "")]),
        (
            b"<exif:ISO>\n<rdf:Seq><rdf:li>200</rdf:li><rdf:li>3</rdf:li></rdf:Seq></exif:ISO>",
            b"",
            [(EXIF, "ISO", "200")],
        ),
        (
            b'<exif:Flash><rdf:Description tiff:Make="A"><tiff:Make/></rdf:Description></exif:Flash>',
            b"",
            [(EXIF, "Flash", "")],
        ),
    ],
    ids=["attribute", "element", "empty element", "list", "structure"],
)
def test_forms(content: bytes, attributes: bytes, expected: list[tuple[str, str, str]]) -> None:
    found = read_xmp(packet(content, attributes))
    assert [(one.namespace, one.name, one.value) for one in found] == expected


def test_the_rest_stays_valid_without_any_property() -> None:
    whole = packet(b"<tiff:Make>A</tiff:Make><tiff:Model><rdf:Bag/></tiff:Model>", b' exif:FNumber="2/1"')
    found = read_xmp(whole)
    assert [one.name for one in found] == ["FNumber", "Make", "Model"]
    for one in found:
        rest = read_xmp(whole[: one.start] + whole[one.end :])
        assert [other.name for other in rest] == [other.name for other in found if other is not one]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<x>",
        b"\xff" + packet(b""),
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + packet(b""),
        b"<x>" + bytes(17 * 2**20) + b"</x>",
        packet(b"<unknown:Make>A</unknown:Make>"),
    ],
    ids=["empty", "cut off", "not UTF-8", "entities", "too long", "unknown prefix"],
)
def test_what_is_not_valid(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several causes
        read_xmp(content)
