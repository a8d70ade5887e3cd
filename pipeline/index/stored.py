"""What indexes in vector stores share.

A store says what lies near; what is kept is measured again from its vectors, so that every store tells the distances
that NumPy does, and none tells squared ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import TwinpixError
from twinpix.pipeline.index import Ids, Pairs, Vectors, checked, checked_queries, refuse_known
from twinpix.pipeline.index.place import Place

Rows = NDArray[np.intp]
Hits = tuple[Rows, Ids, Vectors]  # rows of the queries, ids and vectors of what lies near them

ADD_BLOCK = 2000  # vectors
QUERY_BLOCK = 16  # queries: of more, stores compute |a|²+|b|²-2ab, which blurs small distances
ROUNDING = 3.2e-3  # L2: how far off a store's own distance may be


class StoreError(TwinpixError):
    """A vector store can't be reached, or refuses; in one line, without passwords."""


class StoredIndex(ABC):
    """What all stores share. Methods as of `Index`; each may raise StoreError.

    It may be used by several threads, and holds a connection until it is closed.
    """

    error = 0.0

    def __init__(self, place: Place, dim: int, name: str, is_exact: bool) -> None:
        self.place, self.dim, self.name, self.is_exact = place, dim, name, is_exact

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def close(self) -> None:
        """Let the connection go; what is stored stays."""

    @abstractmethod
    def ids(self) -> Ids:
        """See `Index`: sorted."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `Index`; a store that fails in the middle may keep some of them."""
        ids, vectors = checked(ids, vectors, self.dim)
        for some in _slices(len(ids), ADD_BLOCK):
            refuse_known(self._present(ids[some]), ids[some])
        for some in _slices(len(ids), ADD_BLOCK):
            self._add(ids[some], vectors[some])

    def remove(self, ids: Ids) -> None:
        """See `Index`."""
        ids = np.asarray(ids, np.int64)
        for some in _slices(len(ids), ADD_BLOCK):
            self._remove(ids[some])

    def search(self, queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        """See `Index`."""
        queries = checked_queries(queries, self.dim, k)
        ids, distances = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), np.inf, np.float32)
        for some in _slices(len(queries), QUERY_BLOCK):
            rows, near, told = measured(queries[some], *self._nearest(queries[some], k))
            place = np.arange(len(rows)) - np.searchsorted(rows, rows)
            kept = place < k
            at = some.start + rows[kept], place[kept]
            ids[at], distances[at] = near[kept], told[kept]
        return ids, distances

    def range_search(self, queries: Vectors, max_distance: float) -> Pairs:
        """See `Index`."""
        queries, parts = checked_queries(queries, self.dim), []
        for some in _slices(len(queries), QUERY_BLOCK):
            rows, ids, told = measured(queries[some], *self._within(queries[some], max(0.0, max_distance) + ROUNDING))
            kept = told <= max_distance
            parts.append((some.start + rows[kept], ids[kept], told[kept]))
        nothing = (np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.float32))
        rows, ids, told = (np.concatenate(column) for column in zip(nothing, *parts, strict=True))
        return rows, ids.astype(np.intp), told

    @abstractmethod
    def _present(self, ids: Ids) -> Ids:
        """Those of `ids` that are in it, sorted."""

    @abstractmethod
    def _add(self, ids: Ids, vectors: Vectors) -> None: ...

    @abstractmethod
    def _remove(self, ids: Ids) -> None: ...

    @abstractmethod
    def _nearest(self, queries: Vectors, k: int) -> Hits:
        """The k nearest of each query, and perhaps some more, in any order."""

    @abstractmethod
    def _within(self, queries: Vectors, reach: float) -> Hits:
        """All within `reach` (L2) of each query, and perhaps some more, in any order."""


def measured(queries: Vectors, rows: Rows, ids: Ids, vectors: Vectors) -> tuple[Rows, Ids, Vectors]:
    """Rows, ids and L2 distances, by row, then distance, then id; exactly 0 for equal vectors."""
    gap = queries[rows] - vectors
    distances = np.sqrt(np.einsum("kd,kd->k", gap, gap)).astype(np.float32)
    order = np.lexsort((ids, distances, rows))
    return rows[order], ids[order], distances[order]


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
