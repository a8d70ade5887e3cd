"""What an index names, measured from the vectors themselves: NumPy's distances, whatever the index tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Ids, Pairs, Vectors, places_among_equals

Rows = NDArray[np.intp]
Hits = tuple[Rows, Ids, Vectors]  # rows of the queries, ids and vectors of what may lie near them, in any order
Named = Callable[[Vectors], Hits]


def nearest_of(queries: Vectors, k: int, named: Named, block: int) -> tuple[Ids, Vectors]:
    """The k nearest of what `named` names for each block of queries; returns as `Index.search`."""
    ids, distances = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), np.inf, np.float32)
    for some in slices(len(queries), block):
        rows, near, told = _measured(queries[some], *named(queries[some]))
        place = places_among_equals(rows)
        kept = place < k
        at = some.start + rows[kept], place[kept]
        ids[at], distances[at] = near[kept], told[kept]
    return ids, distances


def within_of(queries: Vectors, max_distance: float, named: Named, block: int) -> Pairs:
    """Of what `named` names for each block of queries, all within `max_distance`; returns as `Index.range_search`."""
    parts = [(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))]
    for some in slices(len(queries), block):
        rows, ids, told = _measured(queries[some], *named(queries[some]))
        kept = told <= max_distance
        parts.append((some.start + rows[kept], ids[kept].astype(np.intp), told[kept]))
    rows, near, told = (np.concatenate(column) for column in zip(*parts, strict=True))
    return rows, near, told


def slices(count: int, size: int) -> Iterator[slice]:
    """0 to `count`, in steps of `size`."""
    return (slice(start, start + size) for start in range(0, count, size))


def _measured(queries: Vectors, rows: Rows, ids: Ids, vectors: Vectors) -> tuple[Rows, Ids, Vectors]:
    # by row, then distance, then id; exactly 0 for equal vectors
    gap = queries[rows] - vectors
    distances = np.sqrt(np.einsum("kd,kd->k", gap, gap)).astype(np.float32)
    order = np.lexsort((ids, distances, rows))
    return rows[order], ids[order], distances[order]
