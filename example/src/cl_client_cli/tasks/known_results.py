"""Finds the files in a folder that are results of other files there."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client_cli.tasks.result_names import candidate_names, real_place, settled
from cl_client_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cl_client_cli.jobs.ledger import Ledger

ANNOTATED_SUFFIX: Final = ".faces.jpg"
"""The suffix of an image's copy with its faces marked."""
_SUFFIXES: Final = (*(kind.suffix for kind in TASKS.values() if kind.suffix), ANNOTATED_SUFFIX)
_NUMBER: Final = re.compile(r"-\d+$")


def without_results(files: Iterable[Path], there: Iterable[Path], ledger: Ledger) -> list[Path]:
    """Leave out files that are results of others in the same search.

    A result whose source is somewhere else is an input like any other.

    Args:
        files: The files.
        there: All files of the search.
        ledger: Records which result was made from which file.

    Returns:
        The files that are not results.
    """
    made_of = {real_place(path): _source(path, ledger) for path in there}
    names = {name for path in made_of for name in islice(candidate_names(path, "result"), 2)}
    return [
        path
        for path in files
        if not _is_made_of_another(real_place(path), made_of) and not _is_named_as_result(path.name, names)
    ]


def _source(path: Path, ledger: Ledger) -> Path | None:
    entry = ledger.result_of(settled(path))
    return None if entry is None else real_place(Path(entry.source))


def _is_made_of_another(path: Path, made_of: Mapping[Path, Path | None]) -> bool:
    """Whether a file's source was found; two files that were once made from each other both stay."""
    source = made_of[path]
    if source is None or source not in made_of:
        return False
    before, at = {path}, source
    while at not in before and (earlier := made_of.get(at)) is not None:
        before.add(at)
        at = earlier
    return at != path


def _is_named_as_result(name: str, names: set[str]) -> bool:
    stems = [name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)]
    return any(stem in names or _NUMBER.sub("", stem) in names for stem in stems)
