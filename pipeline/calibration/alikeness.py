"""How alike the different pictures of a library are, beside those that its calibration was made on.

Shirts on one background lie near one another more often than holiday photos do, and what a curve promises for a
mixture is too much for them. No label is needed to see it: in any library nearly all pairs show different pictures,
so the share of pairs at a moderate distance tells by how much the whole curve has to be raised.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration, pairs

RATE, HIGHEST_RATE = 2e-4, 1e-2  # the promised rate at which it is measured; small libraries need a higher one,
FEWEST = 20  # so that so many pairs can be expected there
SAMPLE = 2000  # pictures that are compared, at most
LEAST, MOST = 0.2, 50.0
BLOCK = 512  # rows


def alikeness(vectors: NDArray[np.float32], calibration: Calibration, rows: NDArray[np.intp] | None = None) -> float:
    """How many times as often as promised different pictures lie near one another, `LEAST` to `MOST`.

    Where fewer than about 65 pictures can't tell, it is 1. Below 1 it makes for a better promise; it loosens no
    threshold (`Limits.at_most`).

    Args:
        vectors: float32 (n, dim), n different pictures; a few copies among them don't matter.
        calibration: what is promised.
        rows: which of them count; all by default.
    """
    sample = _sample(vectors, np.arange(len(vectors)) if rows is None else rows)
    formed = pairs(len(sample))
    rate = max(RATE, FEWEST / max(1, formed))
    if rate > HIGHEST_RATE:
        return 1.0
    found = count_within(sample, calibration.threshold(rate)) - count_within(sample, calibration.pair_threshold)
    return float(np.clip(found / (rate * formed), LEAST, MOST))


def _sample(vectors: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    # by a hash of what is embedded: neither the order nor the names of the files choose it
    if len(rows) <= SAMPLE:
        return vectors[rows]
    marks = np.array([zlib.crc32(vectors[row].tobytes()) for row in rows.tolist()])
    return vectors[rows[np.argsort(marks, kind="stable")[:SAMPLE]]]


def count_within(vectors: NDArray[np.float32], distance: float) -> int:
    """How many pairs lie at most so far apart (L2). Memory: blocks, never n x n."""
    squares, found = (vectors**2).sum(1), 0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        squared = squares[start : start + BLOCK, None] + squares[start:] - 2 * (block @ vectors[start:].T)
        found += int(np.count_nonzero(np.triu(squared <= distance**2, 1)))
    return found
