"""File names: reduced to what every server and file system accepts."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

_LONGEST_NAME: Final = 200
"""Bytes. File systems accept 255, and servers add a prefix or suffix."""


def base_name(name: str, fallback: str = "file") -> str:
    """Get the last part of a path, as a safe file name of at most 200 bytes.

    Servers join the name to a folder unchecked, so a whole path could escape from that folder.

    Args:
        name: A path with slashes or backslashes.
        fallback: Name to use if nothing else remains.

    Returns:
        The name, without control characters.
    """
    last = PureWindowsPath(PurePosixPath(name).name).name
    cleaned = "".join(character for character in last if character.isprintable()).strip(" .")
    return shortened(cleaned or fallback, _LONGEST_NAME)


def shortened(name: str, max_bytes: int) -> str:
    """Shorten a file name, and keep its extension.

    Args:
        name: File name.
        max_bytes: Maximum number of bytes in UTF-8.

    Returns:
        The name; without its extension if that takes half of ``max_bytes`` or more.
    """
    encoded = name.encode(errors="replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    suffix = PurePosixPath(name).suffix.encode(errors="replace")
    if len(suffix) >= max_bytes // 2:
        suffix = b""
    stem = encoded[: max_bytes - len(suffix)].decode(errors="ignore")
    return stem.rstrip(". ") + suffix.decode()
