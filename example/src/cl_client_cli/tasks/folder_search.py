"""Finds files in folders and by patterns; each file only once, however many links lead to it."""

from __future__ import annotations

import os
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.path_patterns import ANY_DEPTH, fits
from cl_client_cli.tasks.skip_rules import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cl_client_cli.tasks.skip_rules import Skipped, SkipRules


def files_below(
    folder: Path, *, recursive: bool, wanted: Callable[[Path], bool], rules: SkipRules, skipped: Skipped
) -> list[Path]:
    """Find the wanted files of a folder, in order, each only once by its real path.

    Links are followed last, so that adding a link does not change the path of a file.

    Args:
        folder: The folder.
        recursive: Search subfolders too, and folders that links lead to.
        wanted: Returns whether a file is wanted.
        rules: What is skipped by its name.
        skipped: Counts what is skipped.

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
            skipped.add(Reason.LINK, at.name)
            continue
        seen.add(real)
        for path, is_folder in _entries(at, folder, rules, skipped):
            if not is_folder:
                found += [path] if wanted(path) else []
            elif not recursive:
                skipped.add(Reason.SUBFOLDER)
            else:
                (links if path.is_symlink() else folders).append(path)
    return _each_once(found, skipped)


def _entries(folder: Path, below: Path, rules: SkipRules, skipped: Skipped) -> list[tuple[Path, bool]]:
    """The files and folders in a folder, in order, and whether each is a folder."""
    try:
        kinds = [(path, path.is_dir()) for path in sorted(folder.iterdir())]
        special = {path for path, is_folder in kinds if not is_folder and not path.is_file()}
    except OSError as exc:
        raise UsageError(
            f"{str(folder)!r}: cannot read this folder: {exc.strerror}; --exclude skips a folder"
        ) from exc
    kept: list[tuple[Path, bool]] = []
    for path, is_folder in kinds:
        reason = rules.reason(path, below, is_folder=is_folder)
        if reason is None and path in special:
            reason = (Reason.NO_FILE, path.name)
        if reason is None:
            kept.append((path, is_folder))
        else:
            skipped.add(*reason)
    return kept


def _each_once(paths: Iterable[Path], skipped: Skipped) -> list[Path]:
    """Paths in order, one for each file; a link only if its target has no other path here."""
    found: dict[str, Path] = {}
    for path in sorted(paths, key=os.path.islink):
        if found.setdefault(os.path.realpath(path), path) is not path:
            skipped.add(Reason.LINK, path.name)
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


def files_matching(pattern: str, rules: SkipRules, skipped: Skipped) -> list[Path]:
    """Find the files that match a pattern, in order, each only once by its real path.

    Args:
        pattern: The pattern, which may contain ``**``. What it names in full, or what it matches without
            ``**``, is only skipped if the user excludes it.
        rules: What is skipped by its name.
        skipped: Counts what is skipped.

    Returns:
        The files.

    Raises:
        UsageError: A folder below ``**`` cannot be read.
    """
    parts = Path(pattern).parts
    if ANY_DEPTH not in parts:
        return _each_once(_matching_by_name(pattern, rules, skipped), skipped)
    at = parts.index(ANY_DEPTH)
    above, below = Path(*parts[:at]), parts[at:]
    tops = map(Path, glob(str(above))) if has_magic(str(above)) else [above]  # noqa: PTH207 - see below
    rules = replace(
        rules,
        hidden=any(part.startswith(".") for part in below),
        named={part.lower() for part in below if not has_magic(part)},
    )
    found: list[Path] = []
    for top in tops:
        if top.is_dir():

            def suits(path: Path, top: Path = top) -> bool:
                return fits(path.relative_to(top).parts, below)

            found += files_below(top, recursive=True, wanted=suits, rules=rules, skipped=skipped)
    return _each_once(found, skipped)


def _matching_by_name(pattern: str, rules: SkipRules, skipped: Skipped) -> list[Path]:
    """The files that match a pattern without ``**``."""
    below, kept = fixed_folder(pattern), list[Path]()
    # Not Path.glob: a pattern may be absolute, or start with "..".
    for path in map(Path, glob(pattern)):  # noqa: PTH207 - see above
        if not path.is_file():
            continue
        if excluded := rules.excluding(path, below, is_folder=False):
            skipped.add(Reason.EXCLUDED, excluded)
        else:
            kept.append(path)
    return kept
