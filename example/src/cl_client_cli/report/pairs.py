"""The most similar files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from zipfile import BadZipFile

import numpy as np

from cl_client_cli.report.entries import EMBEDDINGS
from cl_client_cli.report.thumbnails import thumbnail_of
from cl_client_cli.similar.ranking import most_similar_pairs, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from cl_client_cli.report.entries import PictureFiles, ReportEntry, ReportResult
    from cl_client_cli.report.thumbnails import Thumbnail

_PAIRS: Final = 12


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two similar files."""

    similarity: float
    by: str
    first: str
    second: str
    first_picture: Thumbnail | None
    second_picture: Thumbnail | None


class _Embedded(NamedTuple):
    """The parts of an entry that pairs need: there may be very many entries."""

    picture: PictureFiles
    vector: NDArray[np.float32]


class Embeddings:
    """The embeddings of the files of a report.

    Embeddings of different sizes come from different models, and are compared separately.
    """

    def __init__(self) -> None:
        self._found: defaultdict[tuple[str, int], list[_Embedded]] = defaultdict(list)

    def add(self, entry: ReportEntry) -> None:
        """Add the embeddings of a file.

        Args:
            entry: The file.
        """
        for task in EMBEDDINGS:
            result = entry.results.get(task)
            vector = None if result is None else _vector(result)
            if vector is not None:
                self._found[task, vector.size].append(_Embedded(entry.picture, vector))

    def similar_pairs(self, side: int) -> list[SimilarPair]:
        """Find the most similar pairs for each kind of embedding.

        Args:
            side: The longer side of their images in pixels.

        Returns:
            The pairs.
        """
        return [
            pair
            for wanted in EMBEDDINGS
            for pair in _best_pairs(
                [found for (task, _), found in self._found.items() if task == wanted], wanted, side
            )
        ]


def _best_pairs(groups: Iterable[list[_Embedded]], task: str, side: int) -> Iterator[SimilarPair]:
    best = [
        (pair.similarity, found[pair.first].picture, found[pair.second].picture)
        for found in groups
        for pair in most_similar_pairs(unit_rows([one.vector for one in found]), _PAIRS)
    ]
    best.sort(key=lambda match: -match[0])
    for similarity, first, second in best[:_PAIRS]:
        yield SimilarPair(
            similarity,
            EMBEDDINGS[task],
            first.name,
            second.name,
            thumbnail_of(first, side),
            thumbnail_of(second, side),
        )


def _vector(result: ReportResult) -> NDArray[np.float32] | None:
    """The embedding in a result's file; None if the file does not exist or contains something else."""
    try:
        content = None if result.file is None else cast("object", np.load(result.file))
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
    if not isinstance(content, np.ndarray):
        return None
    array = cast("NDArray[np.float32]", content)
    is_embedding = array.ndim == 1 and array.size > 0 and array.dtype.kind == "f"
    return array if is_embedding and bool(np.isfinite(array).all()) else None
