"""What indexes in vector stores share.

A store says what lies near; what is kept is measured again from its vectors, so that every store tells the distances
that NumPy does, and none tells squared ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np

from twinpix.encoder.errors import TwinpixError
from twinpix.pipeline.index import Ids, Pairs, Vectors, checked, checked_queries, refuse_known
from twinpix.pipeline.index.exactly import Hits, nearest_of, slices, within_of
from twinpix.pipeline.index.place import Place

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
        for some in slices(len(ids), ADD_BLOCK):
            refuse_known(self._present(ids[some]), ids[some])
        for some in slices(len(ids), ADD_BLOCK):
            self._add(ids[some], vectors[some])

    def remove(self, ids: Ids) -> None:
        """See `Index`."""
        ids = np.asarray(ids, np.int64)
        for some in slices(len(ids), ADD_BLOCK):
            self._remove(ids[some])

    def search(self, queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        """See `Index`."""
        queries = checked_queries(queries, self.dim, k)
        return nearest_of(queries, k, partial(self._nearest, k=k), QUERY_BLOCK)

    def range_search(self, queries: Vectors, max_distance: float) -> Pairs:
        """See `Index`."""
        queries, reach = checked_queries(queries, self.dim), max(0.0, max_distance) + ROUNDING
        return within_of(queries, max_distance, partial(self._within, reach=reach), QUERY_BLOCK)

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
