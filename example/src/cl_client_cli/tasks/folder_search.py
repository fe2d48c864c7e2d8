"""The files below folders, and those that patterns fit: each once, whatever links lead to it."""

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
    """The wanted files of a folder in order, each once by its real path.

    Links are followed after all else, so that a file keeps its name when a link to it is made.

    Args:
        folder: The folder.
        recursive: Look into its folders too, and those that links lead to.
        wanted: Whether a file is.
        hidden: Take also what has a name that begins with a dot.

    Raises:
        UsageError: One of the folders cannot be searched.
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
        raise UsageError(f"{str(folder)!r}: this folder cannot be searched: {exc.strerror}") from exc


def _each_once(paths: Iterable[Path]) -> list[Path]:
    """Paths in order, one for each file; links only to what has no other path here."""
    found: dict[str, Path] = {}
    for path in sorted(paths, key=os.path.islink):
        found.setdefault(os.path.realpath(path), path)
    return sorted(found.values())


def fixed_folder(pattern: str) -> Path:
    """The folder that a pattern begins with, before its first wildcard."""
    parts = Path(pattern).parts
    return Path(*parts[: next(at for at, part in enumerate(parts) if has_magic(part))])


def files_matching(pattern: str) -> list[Path]:
    """The files that a pattern fits, in order, each once by its real path.

    Raises:
        UsageError: One of the folders that ``**`` leads to cannot be searched.
    """
    parts = Path(pattern).parts
    if _DEEP not in parts:
        # Not Path.glob: a pattern may be absolute, or begin with "..".
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
    """Whether a path is one that a pattern means, by their parts; ``**`` is any number of folders."""
    if not pattern:
        return not parts
    first, *rest = pattern
    if not parts:
        return first == _DEEP and _fits(parts, rest)
    shown = not parts[0].startswith(".") or first.startswith(".")
    if first == _DEEP:
        return _fits(parts, rest) or (shown and _fits(parts[1:], pattern))
    return shown and fnmatch(parts[0], first) and _fits(parts[1:], rest)
