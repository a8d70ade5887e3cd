"""Exact search with FAISS. Plain L2 at the door: that FAISS speaks squared L2 is known in this file only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import MissingPackageError

QUERY_BLOCK = 1024
_SLACK = 1e-5  # squared L2; FAISS computes |a|^2+|b|^2-2ab, whose rounding must not lose a pair

Pairs = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]


def import_faiss() -> Any:
    """The faiss module.

    Raises:
        MissingPackageError: neither faiss-cpu nor faiss-gpu is installed.
    """
    try:
        import faiss
    except ImportError:
        raise MissingPackageError("FAISS is not installed: pip install 'twinpix[cpu]' (or 'twinpix[gpu]')") from None
    return faiss


class FlatIndex:
    """Compares every pair, in blocks: exact, and memory grows with the pairs found, never n x n."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        """`vectors`: float32 (n, dim)."""
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        self._index = import_faiss().IndexFlatL2(self._vectors.shape[1])
        self._index.add(self._vectors)

    def pairs(self, max_distance: float) -> Pairs:
        """All pairs i < j within `max_distance` (L2).

        Returns:
            (i, j, distance): int (k,), int (k,), float32 (k,) exact L2, ordered by i, then j.
        """
        blocks = [self._block(start, max_distance) for start in range(0, len(self._vectors), QUERY_BLOCK)]
        if not blocks:
            return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
        i, j, distance = (np.concatenate(column) for column in zip(*blocks, strict=True))
        return i, j, distance

    def _block(self, start: int, max_distance: float) -> Pairs:
        queries = self._vectors[start : start + QUERY_BLOCK]
        limits, _, found = self._index.range_search(queries, max_distance**2 + _SLACK)
        i = np.repeat(np.arange(start, start + len(queries)), np.diff(limits.astype(np.intp)))
        j = np.asarray(found, np.intp)
        later = i < j
        i, j = i[later], j[later]
        distance = exact_distances(self._vectors, i, j)
        within = distance <= max_distance
        i, j, distance = i[within], j[within], distance[within]
        order = np.lexsort((j, i))
        return i[order], j[order], distance[order]

    def nearest(self, k: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """The k nearest others of each vector, closest first; all others, where there are fewer.

        Returns:
            (rows, distances): int (n, k), float32 (n, k) exact L2.
        """
        n = len(self._vectors)
        k = max(0, min(k, n - 1))
        if k == 0:
            return np.empty((n, 0), np.intp), np.empty((n, 0), np.float32)
        found = np.concatenate(
            [self._index.search(self._vectors[i : i + QUERY_BLOCK], k + 1)[1] for i in range(0, n, QUERY_BLOCK)]
        )
        own = found == np.arange(n)[:, None]
        own[~own.any(1), -1] = True  # crowded out by vectors equal to it
        rows = found[~own].reshape(n, k).astype(np.intp)
        distances = exact_distances(self._vectors, np.repeat(np.arange(n), k), rows.ravel()).reshape(n, k)
        order = np.lexsort((rows, distances), axis=1)
        return np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)


def select(pairs: Pairs, where: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Pairs:
    """The pairs that a mask or row numbers name."""
    i, j, distance = pairs
    return i[where], j[where], distance[where]


def exact_distances(
    vectors: NDArray[np.float32], i: NDArray[np.intp], j: NDArray[np.intp], block: int = 65_536
) -> NDArray[np.float32]:
    """L2 distances of rows i to rows j, exactly 0 for equal rows. float32 (k,)."""
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(i), block):
        gap = vectors[i[start : start + block]] - vectors[j[start : start + block]]
        parts.append(np.sqrt(np.einsum("kd,kd->k", gap, gap)))
    return np.concatenate(parts)
