"""Similarity of images: the cosine of their embeddings."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BLOCK: Final = 512
"""Rows to compare at a time: for 10,000 images, a block of results takes 20 MB."""
_NO_PAIR: Final = -2.0
"""Less than any cosine."""


class Pair(NamedTuple):
    """Two images by their row numbers, and their cosine similarity, -1 to 1."""

    similarity: float
    first: int
    second: int


def unit_rows(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Stack vectors into a matrix, and scale each row to unit length.

    Args:
        vectors: At least one vector, all of shape (n,).

    Returns:
        The matrix, of shape (number of vectors, n).
    """
    rows = np.stack(vectors).astype(np.float32)
    squares = cast("NDArray[np.float32]", np.einsum("ij,ij->i", rows, rows))
    lengths = np.maximum(np.sqrt(squares), np.finfo(np.float32).tiny)
    return cast("NDArray[np.float32]", rows / lengths[:, np.newaxis])


def most_similar_pairs(rows: NDArray[np.float32], limit: int) -> list[Pair]:
    """Find the most similar pairs; memory does not grow with the square of the number of rows.

    Args:
        rows: The embeddings, of shape (m, n) and unit length.
        limit: The maximum number of pairs.

    Returns:
        The pairs, the most similar first.
    """
    best: list[Pair] = []
    for start in range(0, len(rows), _BLOCK):
        block = cast("NDArray[np.float32]", rows[start : start + _BLOCK] @ rows[start:].T)
        # Each pair once, and nothing with itself.
        columns = len(rows) - start
        block[np.tril_indices(len(block), m=columns)] = _NO_PAIR
        values = cast("NDArray[np.float32]", block.ravel())
        at = np.argpartition(np.negative(values), min(limit, len(values)) - 1)[:limit]
        found = [
            Pair(value, start + i // columns, start + i % columns)
            for i, value in zip(
                cast("list[int]", at.tolist()), cast("list[float]", values[at].tolist()), strict=True
            )
        ]
        best = heapq.nlargest(limit, [*best, *(pair for pair in found if pair.similarity > _NO_PAIR)])
    return best


def ranked(query: NDArray[np.float32], rows: NDArray[np.float32]) -> list[tuple[int, float]]:
    """Rank rows by similarity to a vector.

    Args:
        query: The vector, of shape (n,) and unit length.
        rows: The embeddings, of shape (m, n) and unit length.

    Returns:
        The row numbers and their similarities, the most similar first.
    """
    values = cast("list[float]", (rows @ query).tolist())
    return sorted(enumerate(values), key=lambda pair: -pair[1])
