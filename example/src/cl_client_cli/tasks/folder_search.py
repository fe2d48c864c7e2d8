"""Finds files in folders and by patterns; each file only once, however many links lead to it."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_DEEP: Final = "**"


def files_below(
    folder: Path, *, recursive: bool, wanted: Callable[[Path], bool], hidden: bool = False
) -> list[Path]:
    """Find the wanted files of a folder, in order, each only once by its real path.

    Links are followed last, so that adding a link does not change the path of a file.

    Args:
        folder: The folder.
        recursive: Search subfolders too, and folders that links lead to.
        wanted: Returns whether a file is wanted.
        hidden: Include files and folders whose names start with a dot.

    Returns:
        The files.

    Raises:
        UsageError: A folder cannot be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        at = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(at)
        if real in seen:
            continue
        seen.add(real)
        for path, is_folder in _entries(at, hidden=hidden):
            if not is_folder:
                found += [path] if wanted(path) else []
            elif recursive:
                (links if path.is_symlink() else folders).append(path)
    return _each_once(found)


def _entries(folder: Path, *, hidden: bool) -> list[tuple[Path, bool]]:
    """The files and folders in a folder, in order, and whether each is a folder."""
    try:
        paths = sorted(path for path in folder.iterdir() if hidden or not path.name.startswith("."))
        kinds = [(path, path.is_dir()) for path in paths]
        return [(path, is_folder) for path, is_folder in kinds if is_folder or path.is_file()]
    except OSError as exc:
        raise UsageError(f"{str(folder)!r}: cannot read this folder: {exc.strerror}") from exc


def _each_once(paths: Iterable[Path]) -> list[Path]:
    """Paths in order, one for each file; a link only if its target has no other path here."""
    found: dict[str, Path] = {}
    for path in sorted(paths, key=os.path.islink):
        found.setdefault(os.path.realpath(path), path)
    return sorted(found.values())


def fixed_folder(pattern: str) -> Path:
    """The folder that a pattern starts with, before its first wildcard.

    Args:
        pattern: The pattern.

    Returns:
        The folder.
    """
    parts = Path(pattern).parts
    return Path(*parts[: next(at for at, part in enumerate(parts) if has_magic(part))])


def files_matching(pattern: str) -> list[Path]:
    """Find the files that match a pattern, in order, each only once by its real path.

    Args:
        pattern: The pattern, which may contain ``**``.

    Returns:
        The files.

    Raises:
        UsageError: A folder below ``**`` cannot be read.
    """
    parts = Path(pattern).parts
    if _DEEP not in parts:
        # Not Path.glob: a pattern may be absolute, or start with "..".
        return _each_once(path for path in map(Path, glob(pattern)) if path.is_file())  # noqa: PTH207 - see above
    at = parts.index(_DEEP)
    above, below = Path(*parts[:at]), parts[at:]
    tops = map(Path, glob(str(above))) if has_magic(str(above)) else [above]  # noqa: PTH207 - see above
    hidden = any(part.startswith(".") for part in below)
    found: list[Path] = []
    for top in tops:
        if top.is_dir():

            def fits(path: Path, top: Path = top) -> bool:
                return _fits(path.relative_to(top).parts, below)

            found += files_below(top, recursive=True, wanted=fits, hidden=hidden)
    return _each_once(found)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern; ``**`` matches any number of folders."""
    if not pattern:
        return not parts
    first, *rest = pattern
    if not parts:
        return first == _DEEP and _fits(parts, rest)
    shown = not parts[0].startswith(".") or first.startswith(".")
    if first == _DEEP:
        return _fits(parts, rest) or (shown and _fits(parts[1:], pattern))
    return shown and fnmatch(parts[0], first) and _fits(parts[1:], rest)
