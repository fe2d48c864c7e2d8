"""The one reader of XMP packets: their properties, and where each stands (ISO 16684-1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

BASIC: Final = "http://ns.adobe.com/xap/1.0/"
EXIF: Final = "http://ns.adobe.com/exif/1.0/"
EXIF_EX: Final = "http://cipa.jp/exif/1.0/"
PHOTOSHOP: Final = "http://ns.adobe.com/photoshop/1.0/"
TIFF: Final = "http://ns.adobe.com/tiff/1.0/"

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DESCRIPTION: Final = [f"{_RDF} RDF", f"{_RDF} Description"]
_ITEM: Final = f"{_RDF} li"
_MAX_BYTES: Final = 16 * 2**20

_TAG: Final = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")


@dataclass(frozen=True, slots=True)
class Property:
    """A property, as an element or as an attribute.

    Attributes:
        namespace: Its namespace.
        name: Its name there.
        value: Its text; of a list, the first one. Empty for a structure.
        start: Where it begins in the packet; as an attribute, with the space before it.
        end: Where it ends.
    """

    namespace: str
    name: str
    value: str
    start: int
    end: int


def read_xmp(packet: bytes) -> list[Property]:
    """Read the properties of a packet, without those inside of structures.

    Args:
        packet: The packet.

    Returns:
        The properties in their order.

    Raises:
        ValueError: The packet is too long, not well-formed or not in UTF-8, or has a document type, which
            could define entities that expand without end.
    """
    if len(packet) > _MAX_BYTES:
        raise ValueError(f"XMP of more than {_MAX_BYTES} bytes")
    packet.decode()  # expat alone would guess, and count bytes of what it has converted
    reader = _Reader(packet)
    try:
        reader.parse()
    except expat.ExpatError as exc:
        raise ValueError(f"XMP that is not XML ({exc})") from exc
    return reader.found


@dataclass(slots=True)
class _Reader:
    packet: bytes
    found: list[Property] = field(default_factory=list)
    _path: list[tuple[str, int]] = field(default_factory=list)
    _uris: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _text: list[str] = field(default_factory=list)
    _takes_text: bool = False
    _is_list: bool = False
    _parser: expat.XMLParserType = field(default_factory=lambda: expat.ParserCreate("utf-8", " "))

    def parse(self) -> None:
        parser = self._parser
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartNamespaceDeclHandler = self._start_prefix
        parser.EndNamespaceDeclHandler = self._end_prefix
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(self.packet, True)  # noqa: FBT003 - expat takes it by position

    def _refuse(self, *_: object) -> None:
        raise ValueError("XMP with a document type")

    def _start_prefix(self, prefix: str | None, uri: str) -> None:
        self._uris.setdefault(prefix or "", []).append(uri)

    def _end_prefix(self, prefix: str | None) -> None:
        self._uris[prefix or ""].pop()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        names = [outer for outer, _ in self._path[-2:]]
        self._takes_text = False
        if names == _DESCRIPTION:
            self._text, self._takes_text, self._is_list = [], True, False
        elif name == _ITEM and not self._is_list:
            self._text, self._takes_text, self._is_list = [], True, True
        elif [*names[-1:], name] == _DESCRIPTION:
            self._find_attributes(at, attributes)
        self._path.append((name, at))

    def _characters(self, text: str) -> None:
        if self._takes_text:
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._takes_text = False
        _, start = self._path.pop()
        if [outer for outer, _ in self._path[-2:]] == _DESCRIPTION:
            end = self._tag_end(self._parser.CurrentByteIndex)  # of an empty element, <a/>, still its start
            namespace, _, local = name.rpartition(" ")
            self.found.append(Property(namespace, local, "".join(self._text), start, end))

    def _find_attributes(self, start: int, attributes: dict[str, str]) -> None:
        for match in _ATTRIBUTE.finditer(self.packet, start, self._tag_end(start)):
            prefix, colon, local = match.group(1).decode().partition(":")
            uris = self._uris.get(prefix)
            uri = uris[-1] if uris else ""
            if colon and prefix != "xmlns" and uri not in {"", _RDF}:
                value = attributes.get(f"{uri} {local}", "")
                self.found.append(Property(uri, local, value, match.start(), match.end()))

    def _tag_end(self, start: int) -> int:
        match = _TAG.match(self.packet, start)
        return match.end() if match else start
