"""Which of n vectors lie near one another: all pairs, or of each the nearest; never n x n in memory.

An index says where to look; what is kept is measured again from the vectors themselves, so that every index gives the
same distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import (
    Ids,
    Index,
    Pairs,
    Vectors,
    by_distance,
    exact_distances,
    first_of_each,
    places_among_equals,
)
from twinpix.pipeline.index.faiss_l2 import nearest_exactly
from twinpix.pipeline.index.flat import FlatIndex

QUERY_BLOCK = 4096
TRIED, CROWDED = 8, 4  # rows of a block; times as many as are wanted
SAMPLE = 10_000  # vectors, that show which dimensions matter
FOUND_AT_ONCE = 1 << 22  # neighbours, about 40 bytes each
CROWD, HUBS = 120, 8  # of so many sure pairs a row keeps all, of more so few: 10,000 blank scans would be fifty million
Rows = NDArray[np.intp]
Keys = NDArray[np.int64]  # of pairs i < j: i * n + j
Told = tuple[Keys, Vectors]  # and their distances


def flat_index(vectors: Vectors) -> FlatIndex:
    """All rows, by their numbers."""
    index = FlatIndex.like(vectors[:: max(1, len(vectors) // SAMPLE)])
    index.add(np.arange(len(vectors)), vectors)
    return index


def pairs_within(vectors: Vectors, max_distance: float, index: Index | None = None) -> Pairs:
    """All pairs of rows i < j within `max_distance` (L2).

    Args:
        vectors: float32 (n, dim).
        index: of these rows, by their numbers; exact by default. Another may miss pairs.

    Returns:
        (i, j, distance): int (k,), int (k,), float32 (k,) L2, ordered by i, then j.
    """
    return candidate_pairs(vectors, index or flat_index(vectors), max_distance, max_distance, 0, crowd=len(vectors))


def candidate_pairs(
    vectors: Vectors,
    index: Index,
    max_distance: float,
    sure: float,
    most: int,
    rank: Rows | None = None,
    seen_from: Rows | None = None,
    crowd: int = CROWD,
    within: Callable[[int], None] = lambda ends: None,
) -> Pairs:
    """All pairs within `sure`, and of the others within `max_distance` those among the `most` nearest of either end.

    A row that has more than `crowd` within `sure` keeps those with the `HUBS` first by `rank`, which most of a crowd
    have in common; where `most` is 0, and `sure` may be wide, also those with its `HUBS` nearest. Memory grows with
    what is kept: n * (most + crowd) pairs at the utmost.

    Args:
        vectors: float32 (n, dim).
        index: of these rows, by their numbers.
        max_distance, sure: L2.
        most: how many beyond `sure` are kept of each row.
        rank: int (n,), decides between equal distances, lowest first; row numbers by default.
        seen_from: int (q,), rows: only pairs that these are an end of, and as they see them. All pairs are those of all
            rows, whatever portions they are asked for in. All rows by default.
        crowd: pairs within `sure`, of one row.
        within: called with how many others lie within `sure` of some rows, in all, kept or not, until each row was
            counted once; where `most` is 0.

    Returns:
        As `pairs_within`.
    """
    n = len(vectors)
    if n < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
    rank = np.arange(n) if rank is None else rank
    search = _Search(vectors, index, max_distance, sure, most, rank, crowd, within)
    found = [(np.empty(0, np.int64), np.empty(0, np.float32)), *search.keys(seen_from)]
    keys, distances = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(keys)  # `np.unique` would take fifty times as long
    order = order[first_of_each(keys[order])]
    i, j = (part.astype(np.intp) for part in np.divmod(keys[order], n))
    return i, j, distances[order]


def nearest_others(vectors: Vectors, k: int) -> tuple[Rows, Vectors]:
    """The k nearest others of each row, closest first; all others, where there are fewer. Every pair is compared.

    Args:
        vectors: float32 (n, dim).

    Returns:
        (rows, distances): int (n, k), float32 (n, k) L2.
    """
    n = len(vectors)
    k = max(0, min(k, n - 1))
    if k == 0:
        return np.empty((n, 0), np.intp), np.empty((n, 0), np.float32)
    blocks = (vectors[start : start + QUERY_BLOCK] for start in range(0, n, QUERY_BLOCK))
    found = np.concatenate([nearest_exactly(block, vectors, k + 1)[0] for block in blocks])
    own = found == np.arange(n)[:, None]
    own[~own.any(1), -1] = True  # crowded out by vectors equal to it
    rows = found[~own].reshape(n, k).astype(np.intp)
    distances = exact_distances(vectors, np.repeat(np.arange(n), k), rows.ravel()).reshape(n, k)
    order = np.lexsort((rows, distances), axis=1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)


class _Search:
    """One run of `candidate_pairs`."""

    def __init__(
        self, vectors: Vectors, index: Index, max_distance: float, sure: float, most: int, rank: Rows, crowd: int,
        within: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._vectors, self._index, self._rank, self._crowd, self._tell = vectors, index, rank, crowd, within
        self._reach, self._sure, self._most = max_distance, min(sure, max_distance), most

    def keys(self, seen_from: Rows | None = None) -> Iterator[Told]:
        """Of each block of rows; a pair may come twice, once from either end."""
        # neighbours together: what one query looks at, the next one finds in the cache
        rows = self._index.ids() if seen_from is None else seen_from
        for start in range(0, len(rows), QUERY_BLOCK):
            block = rows[start : start + QUERY_BLOCK].astype(np.intp)
            near = self._near_one(block)
            if self._sure < self._reach and near > CROWDED * self._most:
                # far more within reach than is wanted: only the nearest are asked for, which is slower, but small
                yield self._nearest(block)
                continue
            few = max(1, int(FOUND_AT_ONCE / max(near, 1)))
            yield from (self._within(block[at : at + few]) for at in range(0, len(block), few))

    def _near_one(self, block: Rows) -> float:
        # how many are within reach of each row, about
        tried = block[:: max(1, len(block) // TRIED)]
        return len(self._index.range_search(self._vectors[tried], self._reach + self._index.error)[0]) / len(tried)

    def _within(self, block: Rows) -> Told:
        at, ids, _ = self._index.range_search(self._vectors[block], self._reach + self._index.error)
        other = ids != block[at]
        i, j, distance, among_first = self._measured(block, at[other], ids[other])
        kept = self._is_sure(at[other], j, distance) | among_first
        return self._key(i[kept], j[kept]), distance[kept]

    def _nearest(self, block: Rows) -> Told:
        # a few more than are wanted: distances of an index are a little off, and each row finds itself, too
        k, parts = self._most + self._most // 4 + 1, []
        while len(block) and k <= CROWDED * self._most:
            k, unsettled = min(k, len(self._index)), []
            for some in np.array_split(block, -(-len(block) * k // FOUND_AT_ONCE)):
                found, settled = self._of_nearest(some, *self._index.search(self._vectors[some], k))
                parts.append(found)
                unsettled.append(some[~settled])
            block, k = np.concatenate(unsettled), 2 * k  # many sure ones, or many equally far
        few = max(1, FOUND_AT_ONCE // len(self._index))
        parts += [self._within(block[start : start + few]) for start in range(0, len(block), few)]
        keys, distances = zip(*parts, strict=True)
        return np.concatenate(keys), np.concatenate(distances)

    def _of_nearest(self, block: Rows, ids: Ids, told: Vectors) -> tuple[Told, NDArray[np.bool_]]:
        # of the rows that have all they can have: nothing nearer than the last one that was told was missed
        at, column = np.nonzero((ids >= 0) & (ids != block[:, None]) & (told <= self._reach + self._index.error))
        i, j, distance, among_first = self._measured(block, at, ids[at, column].astype(np.intp))
        horizon = told[:, -1] - (self._index.error if self._index.is_exact else 0.0)
        seen = among_first & (distance < horizon[at])
        settled = np.bincount(at[seen], minlength=len(block)) >= self._most
        settled |= (horizon > self._reach) | (ids.shape[1] >= len(self._index)) | (ids[:, -1] < 0)
        kept = settled[at] & (self._is_sure(at, j, distance) | among_first)
        return (self._key(i[kept], j[kept]), distance[kept]), settled

    def _measured(self, block: Rows, at: Rows, j: Rows) -> tuple[Rows, Rows, Vectors, NDArray[np.bool_]]:
        # both rows, the distance, and which of the doubtful ones within reach are the nearest of their row
        i = block[at]
        distance = exact_distances(self._vectors, i, j)
        doubtful = np.flatnonzero((distance > self._sure) & (distance <= self._reach))
        order = doubtful[by_distance(at[doubtful], distance[doubtful], self._rank[j[doubtful]])]
        first = np.zeros(len(at), bool)
        first[_leading(at, order, self._most)] = True
        return i, j, distance, first

    def _is_sure(self, at: Rows, j: Rows, distance: Vectors) -> NDArray[np.bool_]:
        # which are kept because they are so near
        sure = distance <= self._sure
        if not self._most:
            self._tell(int(sure.sum()))
        crowd = np.flatnonzero(sure & (np.bincount(at, sure)[at] > self._crowd))
        rank = self._rank[j[crowd]]
        orders = [np.lexsort((rank, at[crowd]))]
        if not self._most:
            orders.append(by_distance(at[crowd], distance[crowd], rank))
        sure[crowd] = False
        for order in orders:
            sure[_leading(at, crowd[order], HUBS)] = True
        return np.asarray(sure)

    def _key(self, i: Rows, j: Rows) -> Keys:
        return (np.minimum(i, j) * np.int64(len(self._vectors)) + np.maximum(i, j)).astype(np.int64)


def _leading(at: Rows, order: Rows, count: int) -> Rows:
    # of places in order, those of one row of `at` together, the first so many of each row
    return order[places_among_equals(at[order]) < count]
