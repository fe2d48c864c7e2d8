"""Names of files: reduced to what every server and file system takes."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

_LONGEST_NAME: Final = 200
"""Bytes. File systems take 255; servers put something before the name or after it."""


def base_name(name: str, fallback: str = "file") -> str:
    """The last part of a path of either operating system, without control characters, at most 200 bytes.

    Servers join the name to a folder unchecked, so anything else would escape from it.
    """
    last = PureWindowsPath(PurePosixPath(name).name).name
    cleaned = "".join(character for character in last if character.isprintable()).strip(" .")
    return shortened(cleaned or fallback, _LONGEST_NAME)


def shortened(name: str, max_bytes: int) -> str:
    """At most so many bytes of a name in UTF-8, its extension among them unless that is absurdly long."""
    encoded = name.encode(errors="replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    suffix = PurePosixPath(name).suffix.encode(errors="replace")
    if len(suffix) >= max_bytes // 2:
        suffix = b""
    stem = encoded.removesuffix(suffix)[: max_bytes - len(suffix)].decode(errors="ignore")
    return stem.rstrip(". ") + suffix.decode()
