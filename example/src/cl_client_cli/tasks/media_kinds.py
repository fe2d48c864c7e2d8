"""Kinds of files by their suffixes, to select files in folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client_cli.tasks.table import task_kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from cl_client_cli.tasks.table import Media

SUFFIXES: Final[Mapping[Media, frozenset[str]]] = {
    "picture": frozenset(
        {
            *(".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
            *(".mpo", ".png", ".psd", ".tif", ".tiff", ".webp"),
        }
    ),
    # Camera raw files, of the tasks that only need their metadata or a preview.
    "raw": frozenset(
        {
            *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".gpr", ".iiq", ".kdc", ".mrw", ".nef"),
            *(".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        }
    ),
    # Not .ts, which is also source code.
    "video": frozenset(
        {
            *(
                ".3g2",
                ".3gp",
                ".asf",
                ".avi",
                ".flv",
                ".m2t",
                ".m2ts",
                ".m4v",
                ".mkv",
                ".mov",
                ".mp4",
                ".mpe",
            ),
            *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".vob", ".webm", ".wmv"),
        }
    ),
}


def media_of(file: Path) -> Media:
    """The kind of a file by its suffix.

    Args:
        file: The file.

    Returns:
        ``video`` for a video's suffix, otherwise ``picture``.
    """
    return "video" if file.suffix.lower() in SUFFIXES["video"] else "picture"


def suffixes_for(tasks: Collection[str]) -> frozenset[str] | None:
    """The suffixes of the files that suit at least one of several tasks.

    Args:
        tasks: The names of the tasks.

    Returns:
        The suffixes in lower case; None for all files.
    """
    found: set[str] = set()
    for task in tasks:
        suits = task_kind(task).suits
        if suits is None:
            return None
        found.update(*(SUFFIXES[media] for media in suits))
    return frozenset(found)
