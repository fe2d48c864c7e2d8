"""Paths of a batch's results: unique, inside the batch's folder, and never over existing files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cl_client_cli.batch.manifest import FILE_NAME
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.result_names import ResultNames, place_key, real_place
from cl_client_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cl_client_cli.batch.items import ItemKey


class ResultPlaces:
    """Gives results their paths.

    Args:
        folder: The batch's folder.
        sources: The absolute paths of all inputs.
        folders: The folders of the inputs.
        known: The paths of the results that the batch already has.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Path],
        folders: Sequence[Path],
        known: Mapping[ItemKey, Path],
    ) -> None:
        self._folder, self._sources, self._searched = folder, sources, folders
        self._inputs = {place_key(source) for source in sources}
        self._taken: set[str] = set()
        self._folders: set[str] = set()
        self._seen: set[Path] = set()
        self._names: dict[str, ResultNames] = {}
        for key, place in known.items():
            self._take(place, key.task)

    def made_from(self, source: Path, suffix: str) -> Path:
        """Choose an unused path, named after an input.

        Args:
            source: The input file.
            suffix: The suffix of the result.

        Returns:
            The path.
        """
        if suffix not in self._names:
            self._names[suffix] = ResultNames(
                self._folder, self._sources, self._searched, suffix, self._taken
            )
        place = self._names[suffix].target(source, self._is_occupied)
        self._keep_folders(place)
        return place

    def named(self, output: str, task: str) -> Path:
        """Take the path that a specification names.

        Args:
            output: The path, relative to the batch's folder.
            task: The name of the task.

        Returns:
            The path.

        Raises:
            UsageError: The path is outside of the batch's folder, or belongs to something else.
        """
        place = self.wanted(output)
        above = {place_key(parent) for parent in place.parents}
        if above & self._taken or {place_key(place), place_key(_beside(place, task))} & (
            self._taken | self._folders
        ):
            raise UsageError(f"output {str(place)!r} is already used by another job: name another path")
        if place_key(place) in self._inputs:
            raise UsageError(f"output {str(place)!r} is one of the inputs: name another path")
        if TASKS[task].is_folder and place.exists():
            raise UsageError(f"output {str(place)!r} already exists: name a new folder")
        self._take(place, task)
        return place

    def wanted(self, output: str) -> Path:
        """Resolve a path that a specification names, relative to the batch's folder.

        Args:
            output: The path.

        Returns:
            The resolved path.

        Raises:
            UsageError: The path is outside of the folder, or belongs to the batch's manifest.
        """
        inner = Path(os.path.normpath(output))
        if inner.is_absolute() or inner.drive or ".." in inner.parts or not inner.name:
            raise UsageError(f"output {output!r} must be a relative path inside {str(self._folder)!r}")
        if inner.parts[0].removeprefix(".").startswith(FILE_NAME):
            raise UsageError(f"output {output!r} is reserved for the batch's manifest: name another path")
        return self._folder / inner

    def _take(self, place: Path, task: str) -> None:
        self._taken.update({place_key(place), place_key(_beside(place, task))})
        self._keep_folders(place)

    def _keep_folders(self, place: Path) -> None:
        if place.parent not in self._seen:  # most results are in few folders
            self._seen.add(place.parent)
            self._folders.update(map(place_key, place.parents))

    def _is_occupied(self, place: Path) -> bool:
        return place.exists() or place_key(place) in self._folders


def without_own_results(
    inputs: Sequence[Path], arguments: Sequence[str], known: Mapping[ItemKey, Path], folder: Path
) -> list[Path]:
    """Leave out the batch's own results, unless they were named; otherwise the batch would grow forever.

    Args:
        inputs: The input files that were found.
        arguments: The arguments that they were found by.
        known: The paths of the results that the batch already has.
        folder: The batch's folder.

    Returns:
        The remaining inputs.
    """
    named = {real_place(Path(argument)) for argument in arguments}
    made = {real_place(it) for key, place in known.items() for it in (place, _beside(place, key.task))}

    def is_own(path: Path) -> bool:
        is_record = path.parent == folder.resolve() and path.name.startswith(FILE_NAME)
        return is_record or not made.isdisjoint((path, *path.parents))

    places = ((path, real_place(path)) for path in inputs)
    return [path for path, place in places if place in named or not is_own(place)]


def _beside(place: Path, task: str) -> Path:
    """The folder of a result's additional files; the result's own path if it has none."""
    beside = TASKS[task].beside
    return place if beside is None else beside(place)
