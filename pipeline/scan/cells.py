"""K-means cells with multi-assignment: pairs are looked for where both ends meet in one of their nearest cells.

That is SemDeDup (Abbas 2023), but each vector lies in several cells: with one alone, a copy on the other side of a
border is never compared with its original. Pure functions of arrays; `stages` reads and writes the files. In the
workers of an engine FAISS has one thread (`faiss_alone`), so that sums come out the same, bit for bit, whoever works.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Ids, Pairs, Vectors, import_faiss
from twinpix.pipeline.index.faiss_l2 import main_dimensions
from twinpix.pipeline.index.near import CROWD, candidate_pairs, flat_index

Rows = NDArray[np.intp]
ROUNDS = 10  # of k-means
GRAPH_FROM = 32_768  # cells; to find the nearest of more, a graph (HNSW) looks at some hundreds of them
LINKS, BUILT_WITH, LOOKED_AT = 32, 80, 96  # of that graph: links of a cell, and candidates while building, looking
NO_PAIRS: Pairs = (np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))


@dataclass(frozen=True)
class Cells:
    """Centres of k-means, in the few dimensions in which the vectors differ.

    Attributes:
        centres: float32 (k, d).
        basis: float32 (d, dim), to which vectors are turned first; None: they stay as they are, and d is dim.
        shift: float32 (d,), added after that.
    """

    centres: Vectors
    basis: Vectors | None = None
    shift: Vectors | None = None

    def __len__(self) -> int:
        return len(self.centres)

    def assign(self, vectors: Vectors, nearest: int) -> NDArray[np.int32]:
        """The nearest cells of each vector, closest first.

        Args:
            vectors: float32 (n, dim).
            nearest: m, how many; at most as many as there are.

        Returns:
            int32 (n, m).
        """
        nearest = min(nearest, len(self))
        if len(vectors) == 0:
            return np.empty((0, nearest), np.int32)
        rows = np.ascontiguousarray(vectors, np.float32)
        turned = rows if self._transform is None else self._transform.apply(rows)
        return np.asarray(self._index.search(turned, nearest)[1], np.int32)

    @cached_property
    def _transform(self) -> Any:
        if self.basis is None or self.shift is None:
            return None
        faiss = import_faiss()
        transform = faiss.LinearTransform(self.basis.shape[1], len(self.basis), True)
        faiss.copy_array_to_vector(np.ascontiguousarray(self.basis, np.float32).ravel(), transform.A)
        faiss.copy_array_to_vector(np.ascontiguousarray(self.shift, np.float32), transform.b)
        transform.is_trained = True
        return transform

    @cached_property
    def _index(self) -> Any:
        faiss, dim = import_faiss(), self.centres.shape[1]
        if len(self) < GRAPH_FROM:
            index = faiss.IndexFlatL2(dim)
        else:
            index = faiss.IndexHNSWFlat(dim, LINKS)
            index.hnsw.efConstruction, index.hnsw.efSearch = BUILT_WITH, LOOKED_AT
        index.add(np.ascontiguousarray(self.centres, np.float32))
        return index


def fit_cells(sample: Vectors, cells: int, seed: int = 0) -> Cells:
    """K-means (Lloyd 1982): the same cells for the same sample.

    Args:
        sample: float32 (n, dim).
        cells: k; n, if there are fewer vectors.
    """
    faiss, rows = import_faiss(), np.ascontiguousarray(sample, np.float32)
    transform, basis, shift = main_dimensions(rows), None, None
    if transform is not None:
        basis = np.array(faiss.vector_to_array(transform.A), np.float32).reshape(transform.d_out, transform.d_in)
        shift = np.array(faiss.vector_to_array(transform.b), np.float32)
        rows = transform.apply(rows)
    if len(rows) <= cells:
        return Cells(rows, basis, shift)
    means = faiss.Kmeans(rows.shape[1], cells, niter=ROUNDS, seed=seed, min_points_per_centroid=1)
    means.train(rows)
    return Cells(np.array(means.centroids, np.float32), basis, shift)


def join(
    vectors: Vectors,
    ids: Ids,
    reach: float,
    sure: float,
    most: int,
    rank: Rows | None = None,
    seen_from: Rows | None = None,
) -> Pairs:
    """The pairs of one cell: all within `sure`, and of those within `reach` the `most` nearest of either end.

    What is among the nearest of all vectors is among the nearest of a cell, so that no pair is lost by that limit.

    Args:
        vectors: float32 (n, dim), of the cell.
        ids: int64 (n,), what they are called elsewhere; ascending.
        reach, sure: L2.
        most: 0: all within `reach`.
        rank: int (n,), decides between equal distances, lowest first; the ids by default.
        seen_from: int (q,), a portion of the cell's rows: pairs as these see them. A hot cell is joined in portions.

    Returns:
        (i, j, distance): ids i < j, exact L2, ordered by i, then j.
    """
    if len(vectors) < 2:
        return NO_PAIRS
    crowd = CROWD if most else len(vectors)
    i, j, distance = candidate_pairs(
        vectors, flat_index(vectors), reach, sure if most else reach, most, rank, seen_from, crowd
    )
    return np.asarray(ids[i], np.intp), np.asarray(ids[j], np.intp), distance


def merge(parts: Iterable[Pairs]) -> Pairs:
    """Pairs of many cells, each once, ordered by i, then j. A pair has one distance, wherever it was found."""
    i, j, distance = (np.concatenate(column) for column in zip(*[NO_PAIRS, *parts], strict=True))
    order = np.lexsort((j, i))
    i, j, distance = i[order], j[order], distance[order]
    first = np.ones(len(i), bool)
    first[1:] = (i[1:] != i[:-1]) | (j[1:] != j[:-1])
    return i[first], j[first], distance[first]


def meet(cells: Cells, one: Vectors, other: Vectors, nearest: int) -> NDArray[np.bool_]:
    """Which pairs of vectors, float32 (n, dim) both, have a cell in common, so that they are compared: bool (n,)."""
    a, b = cells.assign(one, nearest), cells.assign(other, nearest)
    return np.asarray((a[:, :, None] == b[:, None, :]).any((1, 2)))
