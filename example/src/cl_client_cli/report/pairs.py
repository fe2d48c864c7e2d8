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
    from collections.abc import Callable, Iterable, Iterator

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

    @property
    def search(self) -> str:
        """The text that the page's search field looks at."""
        return f"{self.first} {self.second}".lower()


class _Embedded(NamedTuple):
    """The parts of an entry that pairs need: there may be very many entries."""

    picture: PictureFiles
    vector: NDArray[np.float32]


def similar_pairs(entries: Callable[[], Iterable[ReportEntry]], side: int) -> list[SimilarPair]:
    """Find the most similar pairs for each kind of embedding.

    Args:
        entries: Returns an iterator over all files; each call starts again.
        side: The longer side of their images in pixels.

    Returns:
        The pairs.
    """
    return [pair for task in EMBEDDINGS for pair in _best_pairs(entries(), task, side)]


def _best_pairs(entries: Iterable[ReportEntry], task: str, side: int) -> Iterator[SimilarPair]:
    """Embeddings of different sizes come from different models, and are compared separately."""
    by_size: defaultdict[int, list[_Embedded]] = defaultdict(list)
    for entry in entries:
        result = entry.results.get(task)
        vector = None if result is None else _vector(result)
        if vector is not None:
            by_size[vector.size].append(_Embedded(entry.picture, vector))
    best = [
        (pair.similarity, found[pair.first].picture, found[pair.second].picture)
        for found in by_size.values()
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
