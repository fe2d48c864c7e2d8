"""Where results go: names made from the inputs', each once, and never over something else's result."""

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
    """The deepest folder that all of these are in, or are; below it, results keep their folders."""
    first, *others = dict.fromkeys(map(settled, folders))
    return next(
        folder
        for folder in (first, *first.parents)
        if all(other.is_relative_to(folder) for other in others) or folder == Path(folder.anchor)
    )


def settled(path: Path) -> Path:
    """An absolute path without ``..``, which a link before it would lead to another place than it seems."""
    whole = path.absolute()
    if ".." not in whole.parts:
        return whole
    end = len(whole.parts) - whole.parts[::-1].index("..")
    return Path(*whole.parts[:end]).resolve().joinpath(*whole.parts[end:])


def real_place(path: Path) -> Path:
    """The same for all paths of one name in one folder; two links to one file are two inputs."""
    return Path(os.path.realpath(path.parent), path.name)


def candidate_names(source: Path, fallback: str) -> Iterator[str]:
    """Names for what is made of a file, without end: ``photo``, ``photo-png``, ``photo-png-2`` ..."""
    stem = base_name(source.stem, fallback=fallback)
    with_suffix = f"{stem}-{source.suffix.removeprefix('.')}" if source.suffix else stem
    yield from (stem, with_suffix)
    yield from (f"{with_suffix}-{number}" for number in count(2))


class ResultNames:
    """Gives each input's result a place of its own.

    Args:
        folder: Where results go.
        inputs: All inputs.
        folders: Where they were looked for; what they have in common is not kept in the results' places.
        suffix: What a result's name has in place of its input's suffix.
        taken: The places that are given away, as `place_key` writes them; those given here are added.
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
        self._taken.update(map(place_key, inputs))  # what is made of a file never replaces it, or another

    def target(self, source: Path, is_others: Callable[[Path], bool] = lambda _: False) -> Path:
        """The result's place; two inputs never get the same, ``photo`` and ``photo-png`` instead.

        Inputs get theirs in order, so that the same inputs get the same names next time.

        Args:
            source: The input.
            is_others: Whether what is at a place is the result of something else.
        """
        below = relative_to(self._common, settled(source)).parent
        names = candidate_names(source, "result")
        targets = (self._folder / below / f"{name}{self._suffix}" for name in names)
        target = next(path for path in targets if place_key(path) not in self._taken and not is_others(path))
        self._taken.add(place_key(target))
        return target


def place_key(path: Path) -> str:
    """The same for two paths of one place, in lower case, as many file systems take both for the same."""
    return str(path.resolve()).casefold()


def relative_to(folder: Path, path: Path) -> Path:
    """What of a path is below a folder; its name alone where nothing is."""
    return path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)


def is_result_of_other(target: Path, source: Path, ledger: Ledger) -> bool:
    """Whether what is at a place was made of another file, which is still there."""
    entry = ledger.result_of(target) if target.exists() else None
    if entry is None or real_place(Path(entry.source)) == real_place(source):
        return False
    return Path(entry.source).exists()


def is_up_to_date(target: Path, source: Path, params: dict[str, str], ledger: Ledger) -> bool:
    """Whether a result is there that was made of this very file with these parameters.

    A result that the ledger does not know is left alone, whatever it is: it may be precious.
    """
    if not target.exists():
        return False
    entry = ledger.result_of(target)
    if entry is None:
        return True
    now = source.stat()
    made_of = (real_place(Path(entry.source)), entry.source_size, entry.source_mtime_ns, dict(entry.params))
    return made_of == (real_place(source), now.st_size, now.st_mtime_ns, params)
