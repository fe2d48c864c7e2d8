"""Folders with an HLS stream, which may contain other files too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.places import check_folder
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MASTER: Final = "adaptive.m3u8"
"""The name that servers give the master playlist."""


def check_stream_folder(option: str, folder: Path) -> None:
    """Check that a stream can be written into a folder, and that the folder contains nothing but a stream.

    Args:
        option: The option that names the folder, for messages.
        folder: The folder.

    Raises:
        UsageError: The folder is not writable, or contains other files.
    """
    check_folder(option, folder)
    if folder.is_dir() and not (folder / _MASTER).exists() and any(folder.iterdir()):
        raise UsageError(f"{option} {folder}: this folder contains other files; name a new or empty folder")


def stream_files(master: Path) -> set[Path]:
    """Find the playlists and segments of a stream that its master playlist leads to, inside its folder.

    Args:
        master: The master playlist.

    Returns:
        The existing files.
    """
    playlists = [master, *_named_in(master)]
    # The master playlist does not list the playlist of the original quality.
    playlists.append(master.with_name(f"{master.stem}-orig{master.suffix}"))
    return {file for playlist in playlists for file in (playlist, *_named_in(playlist)) if file.is_file()}


def _named_in(playlist: Path) -> Iterator[Path]:
    if playlist.suffix != ".m3u8" or not playlist.is_file():
        return
    folder = playlist.parent.resolve()
    for line in playlist.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.strip() and not line.startswith("#"):  # RFC 8216, 4.1: the URI of a playlist or segment
            file = playlist.parent / line.strip()
            if file.resolve().is_relative_to(folder):
                yield file
