"""Comparing codes of one bit a dimension inside k-means cells (RaBitQ, Gao & Long 2024), then the vectors themselves.

The codes say too little to decide: they are asked for more than is wanted, and what they name is measured from the
vectors. These are not copied: the index keeps the arrays that it was given, which may be memory maps.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from twinpix.pipeline.index import Ids, Pairs, Vectors, checked_queries
from twinpix.pipeline.index.exactly import Hits, Rows, nearest_of, within_of
from twinpix.pipeline.index.faiss_l2 import FaissIndex
from twinpix.pipeline.index.ivf import IvfIndex

SIGMAS = 3  # as far as codes are taken to be off: of 190,000 pairs within 1.0, 3 in 10,000 are then overlooked
MORE, AT_LEAST = 4, 32  # candidates for each of the k nearest, and in all
QUERY_BLOCK = 512
SAMPLE = 10_000  # vectors


class RabitqIndex(IvfIndex):
    """About 50 bytes for a vector of 256 values, beside the array in which it lies. Methods as of `Index`.

    Arrays that were added must not be changed.

    Args:
        sample: float32 (n, dim), what the centres are learned from.
        cells: how many; as many as there are vectors in the sample, at most.
    """

    def __init__(self, sample: Vectors, cells: int) -> None:
        super().__init__(sample, cells, "RaBitQ")
        self._kept: list[tuple[Ids, Vectors]] = []  # sorted ids, and their vectors; what was added last counts
        # of two vectors as far from their centre as they are on average; squared L2
        self._off = SIGMAS * 2 * self.squared_spread(sample[:: max(1, len(sample) // SAMPLE)]) / sample.shape[1] ** 0.5

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `Index`."""
        super().add(ids, vectors)
        ids = np.asarray(ids, np.int64)
        order = np.argsort(ids, kind="stable")
        in_order = bool((ids[1:] > ids[:-1]).all())
        self._kept.append((ids, vectors) if in_order else (ids[order], vectors[order]))

    def remove(self, ids: Ids) -> None:
        """See `Index`."""
        super().remove(ids)
        self._kept = [part for part in self._kept if np.isin(part[0], self._known).any()]

    def search(self, queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        """See `Index`."""
        queries = checked_queries(queries, self._faiss.d, k)
        return nearest_of(queries, k, partial(self._nearest, k=max(AT_LEAST, MORE * k)), QUERY_BLOCK)

    def range_search(self, queries: Vectors, max_distance: float) -> Pairs:
        """See `Index`."""
        queries, reach = checked_queries(queries, self._faiss.d), (max_distance**2 + self._off) ** 0.5
        return within_of(queries, max_distance, partial(self._within, reach=reach), QUERY_BLOCK)

    def _nearest(self, queries: Vectors, k: int) -> Hits:
        told = FaissIndex.search(self, queries, k)[0]
        rows, column = np.nonzero(told >= 0)
        return self._with_vectors(rows, told[rows, column])

    def _within(self, queries: Vectors, reach: float) -> Hits:
        rows, ids, _ = FaissIndex.range_search(self, queries, reach)
        return self._with_vectors(rows, ids.astype(np.int64))

    def _with_vectors(self, rows: Rows, ids: Ids) -> Hits:
        vectors = np.empty((len(ids), self._faiss.d), np.float32)
        for known, kept in self._kept:
            at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
            there = known[at] == ids
            vectors[there] = kept[at[there]]
        return rows, ids, vectors
