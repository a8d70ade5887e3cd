"""What all indexes of FAISS share. FAISS speaks squared L2: that is known here only."""

from __future__ import annotations

from typing import Any

import numpy as np

from twinpix.pipeline.index import Ids, Pairs, Vectors, checked, checked_queries, import_faiss, refuse_known

ROUNDING = 3.2e-3  # L2; FAISS computes |a|²+|b|²-2ab: 1e-5 off in squared L2, at most
ADD_BLOCK = 1 << 16
VARIANCE = 0.995  # what fewer dimensions must keep of the squared distances
STEP = 8  # dimensions; multiples of it suit processors
ENOUGH = 8  # vectors for each dimension, to tell which ones matter


class FaissIndex:
    """An index of FAISS that knows its vectors by id. Methods as of `Index`."""

    def __init__(self, faiss_index: Any, name: str, error: float, is_exact: bool) -> None:
        self._faiss, self.name, self.error, self.is_exact = faiss_index, name, error, is_exact
        self._known = np.empty(0, np.int64)  # sorted: FAISS itself takes an id twice

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `Index`."""
        ids, vectors = checked(ids, vectors, self._faiss.d)
        self._known = refuse_known(self._known, ids)
        for start in range(0, len(ids), ADD_BLOCK):
            block = slice(start, start + ADD_BLOCK)
            self._faiss.add_with_ids(vectors[block], ids[block])

    def remove(self, ids: Ids) -> None:
        """See `Index`."""
        self._faiss.remove_ids(np.ascontiguousarray(ids, np.int64))
        self._known = np.setdiff1d(self._known, ids)

    def search(self, queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        """See `Index`."""
        squared, ids = self._faiss.search(checked_queries(queries, self._faiss.d, k), k)
        return ids, np.where(ids < 0, np.inf, np.sqrt(np.maximum(squared, 0))).astype(np.float32)

    def range_search(self, queries: Vectors, max_distance: float) -> Pairs:
        """See `Index`."""
        squared = np.nextafter(np.float32(max_distance**2), np.float32(np.inf))  # FAISS leaves the limit itself out
        limits, distances, ids = self._faiss.range_search(checked_queries(queries, self._faiss.d), float(squared))
        rows = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.intp)))
        return rows, np.asarray(ids, np.intp), np.sqrt(np.maximum(distances, 0))


def nearest_exactly(queries: Vectors, vectors: Vectors, k: int) -> tuple[Ids, Vectors]:
    """The k nearest rows of each query, without an index, and without a second copy of `vectors`.

    Returns:
        int64 (q, k), float32 (q, k) L2.
    """
    squared, ids = import_faiss().knn(np.ascontiguousarray(queries), np.ascontiguousarray(vectors), k)
    return ids, np.sqrt(np.maximum(squared, 0))


def main_dimensions(sample: Vectors) -> Any | None:
    """FAISS's transform to the few dimensions in which vectors like these differ (PCA); None where all are needed.

    Distances become smaller, never larger: what lies within reach is still found, and some more, which the pipeline
    drops when it measures again. The shipped encoder's 256 dimensions become 64.
    """
    dim = sample.shape[1]
    if len(sample) < ENOUGH * dim:
        return None
    centred = sample - sample.mean(0, dtype=np.float64)
    kept = np.cumsum(np.linalg.eigvalsh(centred.T @ centred)[::-1])
    fewer = -(-(int(np.searchsorted(kept, VARIANCE * kept[-1])) + 1) // STEP) * STEP
    if fewer > dim // 2:
        return None
    transform = import_faiss().PCAMatrix(dim, fewer)
    transform.train(np.ascontiguousarray(sample, np.float32))
    return transform
