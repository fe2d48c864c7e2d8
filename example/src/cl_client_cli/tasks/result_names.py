"""Paths of results: unique names made from the inputs' names, which never overwrite other results."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from cl_client import base_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cl_client_cli.jobs.ledger import Ledger


def common_folder(folders: Sequence[Path]) -> Path:
    """Find the deepest folder that contains all of these; results keep their subfolders below it.

    Args:
        folders: The folders, at least one.

    Returns:
        The folder.
    """
    first, *others = dict.fromkeys(map(settled, folders))
    return next(
        folder
        for folder in (first, *first.parents)
        if all(other.is_relative_to(folder) for other in others) or folder == Path(folder.anchor)
    )


def settled(path: Path) -> Path:
    """Make a path absolute, with ``..`` resolved, because a link before it would change its meaning.

    Args:
        path: The path.

    Returns:
        The absolute path.
    """
    whole = path.absolute()
    if ".." not in whole.parts:
        return whole
    end = len(whole.parts) - whole.parts[::-1].index("..")
    return Path(*whole.parts[:end]).resolve().joinpath(*whole.parts[end:])


def real_place(path: Path) -> Path:
    """Resolve the links of a file's folder, but not of the file: two links to one file are two inputs.

    Args:
        path: The file.

    Returns:
        The path.
    """
    return Path(os.path.realpath(path.parent), path.name)


def candidate_names(source: Path, fallback: str) -> Iterator[str]:
    """Generate names for results of a file, without end: ``photo``, ``photo-png``, ``photo-png-2`` ...

    Args:
        source: The file.
        fallback: The name if the file's name has no usable characters.

    Yields:
        The names, without suffix.
    """
    stem = base_name(source.stem, fallback=fallback)
    with_suffix = f"{stem}-{source.suffix.removeprefix('.')}" if source.suffix else stem
    yield from (stem, with_suffix)
    yield from (f"{with_suffix}-{number}" for number in count(2))


class ResultNames:
    """Gives the result of each input a unique path.

    Args:
        folder: The folder for the results.
        inputs: All inputs.
        folders: The folders of the inputs; results keep the subfolders below their common folder.
        suffix: The suffix of results, instead of the inputs' suffixes.
        taken: The paths in use, in the form of `place_key`; new paths are added to it.
    """

    def __init__(
        self,
        folder: Path,
        inputs: Sequence[Path],
        folders: Sequence[Path],
        suffix: str,
        taken: set[str] | None = None,
    ) -> None:
        self._folder = folder
        self._common = common_folder(folders)
        self._suffix = suffix
        self._taken = set[str]() if taken is None else taken
        self._taken.update(map(place_key, inputs))  # a result never overwrites an input

    def target(self, source: Path, is_others: Callable[[Path], bool] = lambda _: False) -> Path:
        """Choose the path of a result, different for each input, for instance ``photo`` and ``photo-png``.

        Args:
            source: The input.
            is_others: Returns whether an existing file is the result of something else.

        Returns:
            The path.
        """
        below = relative_to(self._common, settled(source)).parent
        names = candidate_names(source, "result")
        targets = (self._folder / below / f"{name}{self._suffix}" for name in names)
        target = next(path for path in targets if place_key(path) not in self._taken and not is_others(path))
        self._taken.add(place_key(target))
        return target


def place_key(path: Path) -> str:
    """Make a key that is equal for equal paths, in lower case because many file systems ignore case.

    Args:
        path: The path.

    Returns:
        The key.
    """
    return str(path.resolve()).casefold()


def relative_to(folder: Path, path: Path) -> Path:
    """The part of a path below a folder.

    Args:
        folder: The folder.
        path: The path.

    Returns:
        The relative path; only the name if the path is not below the folder.
    """
    return path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)


def is_result_of_other(target: Path, source: Path, ledger: Ledger) -> bool:
    """Check whether an existing file is the result of another file that still exists.

    Args:
        target: The path to check.
        source: The input whose result may be there.
        ledger: Records which result was made from which file.

    Returns:
        Whether it is.
    """
    entry = ledger.result_of(target) if target.exists() else None
    if entry is None or real_place(Path(entry.source)) == real_place(source):
        return False
    return Path(entry.source).exists()


def is_up_to_date(target: Path, source: Path, params: dict[str, str], ledger: Ledger) -> bool:
    """Check whether the result of an unchanged file with the same parameters exists.

    A file that the ledger does not know is never overwritten, so it is considered up to date.

    Args:
        target: The path of the result.
        source: The input.
        params: The parameters of the task, as form fields.
        ledger: Records which result was made from which file.

    Returns:
        Whether nothing has to be done.
    """
    if not target.exists():
        return False
    entry = ledger.result_of(target)
    if entry is None:
        return True
    now = source.stat()
    made_of = (real_place(Path(entry.source)), entry.source_size, entry.source_mtime_ns, dict(entry.params))
    return made_of == (real_place(source), now.st_size, now.st_mtime_ns, params)
