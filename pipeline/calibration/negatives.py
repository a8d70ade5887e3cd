"""Negatives: the closest pairs of different pictures, and what each of them weighs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import pairs
from twinpix.pipeline.calibration.tail import Tail, fit_tail
from twinpix.pipeline.index import Pairs, exact_distances

Rows = NDArray[np.intp]
WITHIN = 0.5  # of the pairs of a library lie within one photo set: two sets of one size
SMALLEST_PHOTO_SET = 100  # pictures; smaller sets say too little about pairs within a set
BLOCK = 512  # rows whose distances to all others are in memory at once


@dataclass(frozen=True)
class Negatives:
    """Pairs of different pictures, closest first.

    Pictures of one origin (one camera, one shop, one scanner) are several times as often alike as those of two,
    and a library has fewer origins than a collection made for calibrating. So where there are several photo sets,
    pairs within a set, each set by its number of pictures, weigh half, and pairs across sets the other half.

    Attributes:
        closest: (i, j, distance); rows, rows, L2 ascending.
        sets: int (n,), the photo set of each of the n pictures.
    """

    closest: Pairs
    sets: Rows

    def weights(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """What share of all pairs each of the closest is, if picture r is there `counts[r]` times. float64 (k,)."""
        size, squares = np.bincount(self.sets, counts), np.bincount(self.sets, counts.astype(np.float64) ** 2)
        different = (size**2 - squares) / 2  # pairs of copies of one picture are none
        across = (size.sum() ** 2 - (size**2).sum()) / 2
        share = np.divide(size / size.sum(), different, out=np.zeros(len(size)), where=different > 0)
        i, j, _ = self.closest
        same = self.sets[i] == self.sets[j]
        inside = WITHIN if across else 1.0
        each = np.where(same, inside * share[self.sets[i]], (1 - inside) / max(across, 1))
        return np.asarray(each * counts[i] * counts[j])

    def tail(self, weights: NDArray[np.float64]) -> Tail:
        """The tail fitted to each picture's nearest neighbour; pairs without weight are not there."""
        there = np.flatnonzero(weights)
        i, j, distance = (column[there] for column in self.closest)
        ends, pair = np.stack([i, j], 1).ravel(), np.repeat(np.arange(len(there)), 2)
        nearest = np.full(len(self.sets), len(there) - 1)  # or farther
        nearest[ends[::-1]] = pair[::-1]  # the last to be written is the nearest
        return fit_tail(distance[nearest], weights[there][nearest] / 2)  # a pair has two ends


def closest_pairs(vectors: NDArray[np.float32], share: float) -> Pairs:
    """The closest `share` of all pairs: (i, j, L2), closest first. Memory: blocks, never n x n.

    Args:
        vectors: float32 (n, dim), of any norm.
    """
    keep = int(np.ceil(pairs(len(vectors)) * share)) + 1
    found: Pairs = (np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))
    for start in range(0, len(vectors), BLOCK):
        limit = np.inf if len(found[2]) < keep else float(found[2].max())
        found = _closest(found, _block(vectors, start, limit), keep)
    i, j, _ = found
    distance = exact_distances(vectors, i, j)
    order = np.lexsort((j, i, distance))
    return i[order], j[order], distance[order]


def _closest(found: Pairs, more: Pairs, keep: int) -> Pairs:
    both = tuple(np.concatenate([found[k], more[k]]) for k in range(3))
    if len(both[2]) > keep:
        chosen = np.argpartition(both[2], keep - 1)[:keep]
        both = tuple(column[chosen] for column in both)
    return both[0], both[1], both[2].astype(np.float32)


def _block(vectors: NDArray[np.float32], start: int, limit: float) -> Pairs:
    a, b = vectors[start : start + BLOCK], vectors[start:]
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * (a @ b.T)
    distance = np.sqrt(np.maximum(squared, 0))
    i, j = np.nonzero(np.triu(distance <= limit, 1))
    return start + i, start + j, distance[i, j]


def photo_sets(folders: list[str]) -> Rows:
    """Number the photo sets by the folders that n pictures lie in: int (n,), -1 for sets that are too small.

    Where large sets hold less than half of the pictures, or fewer than 200, all are taken for one set.
    """
    _, number, size = np.unique(np.array(folders), return_inverse=True, return_counts=True)
    large = size[number] >= SMALLEST_PHOTO_SET
    enough = large.sum() >= max(len(folders) / 2, 2 * SMALLEST_PHOTO_SET)
    return np.where(large, number, -1) if enough else np.zeros(len(folders), np.intp)
