"""What kind of file something is, by its name: what folders are searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from cl_client_cli.tasks.table import Media

SUFFIXES: Final[Mapping[Media, frozenset[str]]] = {
    "picture": frozenset(
        {".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
    ),
    "video": frozenset(
        {".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv"}
    ),
}


def media_of(file: Path) -> Media:
    """A video if its name says so, else a picture."""
    return "video" if file.suffix.lower() in SUFFIXES["video"] else "picture"


def suffixes_for(tasks: Collection[str]) -> frozenset[str] | None:
    """The suffixes of the files in a folder that suit one of these tasks; None for all files."""
    found: set[str] = set()
    for task in tasks:
        suits = TASKS[task].suits
        if suits is None:
            return None
        found.update(*(SUFFIXES[media] for media in suits))
    return frozenset(found)
