"""What share of the true pairs an index finds: of copies that are planted in it for a moment, and of its own pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Ids, Index, Vectors, exact_distances
from twinpix.pipeline.index.faiss_l2 import ROUNDING, nearest_exactly

Rows = NDArray[np.intp]
MOST = 120  # pairs of a row are enough


@dataclass(frozen=True)
class Planted:
    """Rows, and a copy of each that lies within reach of it and that comparing with everything finds.

    Attributes:
        rows: int (m,).
        copies: float32 (m, dim).
        ids: int64 (m,), for the time that the copies are in an index.
    """

    rows: Rows
    copies: Vectors
    ids: Ids


def plant(vectors: Vectors, rows: Rows, reach: float, most: int, seed: int) -> Planted:
    """A copy of each row at a distance drawn evenly from 0 to `reach` (L2), towards where other pictures lie.

    The direction is that from one other row to another: edits move a picture as pictures differ, not as noise would.

    Args:
        vectors: float32 (n, dim).
        most: of how many nearest a copy's own row must be one; 0: of any number.
    """
    dice, own = np.random.default_rng(seed), vectors[rows]
    a, b = dice.integers(0, len(rows), (2, len(rows)))
    way = own[a] - own[b]
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    copies = own + way * dice.uniform(0, reach, (len(rows), 1)).astype(np.float32)
    copies *= np.linalg.norm(own, axis=1, keepdims=True) / np.maximum(
        np.linalg.norm(copies, axis=1, keepdims=True), 1e-6
    )
    both, m = np.concatenate([own, copies]), len(rows)
    distance = exact_distances(both, np.arange(m), np.arange(m, 2 * m))
    there = distance <= reach
    if most:
        there &= distance <= nearest_exactly(copies, vectors, min(most, len(vectors)))[1][:, -1]
    return Planted(rows[there], copies[there], len(vectors) + np.flatnonzero(there))


def recall(index: Index, vectors: Vectors, planted: Planted, reach: float, most: int) -> float:
    """The share of planted copies that a search from either end finds, 0..1; 1 where none was planted."""
    if len(planted.rows) == 0:
        return 1.0
    index.add(planted.ids, planted.copies)
    there = _finds(index, planted.copies, planted.rows, reach, most)
    back = _finds(index, vectors[planted.rows], planted.ids, reach, most)
    index.remove(planted.ids)
    return float((there | back).mean())


def own_pairs(vectors: Vectors, rows: Rows, reach: float, most: int) -> tuple[Rows, Rows]:
    """The pairs within `reach` (L2) of these rows with any, found by comparing with all: int (k,), int (k,).

    Args:
        vectors: float32 (n, dim).
        most: of how many nearest the other must be one; 0 counts as `MOST`.
    """
    ids, told = nearest_exactly(vectors[rows], vectors, min((most or MOST) + 1, len(vectors)))
    at, column = np.nonzero((ids != rows[:, None]) & (told <= reach + ROUNDING))
    i, j = rows[at], ids[at, column].astype(np.intp)
    within = exact_distances(vectors, i, j) <= reach
    return i[within], j[within]


def recall_of_pairs(index: Index, vectors: Vectors, pairs: tuple[Rows, Rows], reach: float, most: int) -> float:
    """The share of pairs that a search from either end finds, 0..1; 1 where there are none."""
    i, j = pairs
    if len(i) == 0:
        return 1.0
    found = _names(index, vectors, i, j, reach, most)
    missed = np.flatnonzero(~found)
    found[missed] = _names(index, vectors, j[missed], i[missed], reach, most)
    return float(found.mean())


def _names(index: Index, vectors: Vectors, i: Rows, j: Rows, reach: float, most: int) -> NDArray[np.bool_]:
    # of each pair, whether a search for the one names the other
    rows, row_of = np.unique(i, return_inverse=True)
    if most:
        ids = index.search(vectors[rows], most + 1)[0]
        at, column = np.nonzero(ids >= 0)
        named = ids[at, column]
    else:
        at, named, _ = index.range_search(vectors[rows], reach + index.error)
    n = np.int64(len(vectors))
    return np.isin(row_of * n + j, at * n + named)


def _finds(index: Index, queries: Vectors, wanted: Ids | Rows, reach: float, most: int) -> NDArray[np.bool_]:
    if most:
        ids, _ = index.search(queries, most + 1)
        return np.asarray((ids == wanted[:, None]).any(1))
    at, ids, _ = index.range_search(queries, reach + index.error)
    found = np.zeros(len(queries), bool)
    found[at[ids == wanted[at]]] = True
    return found
