"""The tail of a false-match curve: what may happen below the closest pairs that were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAIL_SHARE = 0.1  # of the nearest distances, to which the tail is fitted
FEWEST = 20  # of them
_SMALLEST = 1e-6  # L2; equal vectors count as that far apart


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto tail of log(start / distance), for distances below `start` (L2).

    Attributes:
        start: L2; where the tail begins.
        start_rate: share of pairs closer than `start`.
        scale: of the log; 1 / scale is the power of distance, where shape is 0.
        shape: >= 0; 0 is exponential.
    """

    start: float
    start_rate: float
    scale: float
    shape: float

    def distance(self, rate: float) -> float:
        """The L2 distance within which a share `rate` of all pairs lies."""
        ratio = self.start_rate / rate
        excess = np.log(ratio) if self.shape < 1e-6 else (ratio**self.shape - 1) / self.shape
        return float(self.start * np.exp(-self.scale * excess))

    def rate(self, distance: float) -> float:
        """The share of all pairs within an L2 distance; `start_rate` where that is beyond `start`."""
        excess = max(np.log(self.start / max(distance, _SMALLEST)), 0.0) / max(self.scale, 1e-9)
        if self.shape < 1e-6:
            return float(self.start_rate * np.exp(-excess))
        return float(self.start_rate * (1 + self.shape * excess) ** (-1 / self.shape))


def fit_tail(nearest: NDArray[np.float32], weights: NDArray[np.float64]) -> Tail:
    """Fit a generalised Pareto tail (Pickands 1975) by probability-weighted moments (Hosking & Wallis 1987).

    On the log scale an exponential tail is a power law of distance, which is how distances thin out towards 0 in
    any space of fixed dimension. The shape is never taken as bounded: that would promise that no unrelated pair
    can be closer than some distance.

    Args:
        nearest: float32 (n,), L2, of each picture to its nearest neighbour; the closest `TAIL_SHARE` are fitted.
        weights: float64 (n,); what each picture with a neighbour that near adds to the rate of pairs.
    """
    order = np.argsort(nearest, kind="stable")
    count = min(max(FEWEST, int(len(order) * TAIL_SHARE)), len(order) - 1)
    start = max(float(nearest[order[count]]), _SMALLEST)
    excess, share = _excess(nearest[order[:count]], start), weights[order[:count]]
    excess, share = excess[::-1], share[::-1]  # ascending
    total = float(share.sum())
    above = 1 - (np.cumsum(share) - 0.35 * share) / total
    mean, weighted = float((excess * share).sum() / total), float((excess * share * above).sum() / total)
    spread = mean - 2 * weighted  # 0 if all are the same
    shape = 2 - mean / spread if spread else 0.0  # of Hosking & Wallis, sign turned: heavy tails are positive
    shape = min(max(shape, 0.0), 0.5)
    return Tail(start, total, mean * (1 - shape), shape)


def _excess(nearest: NDArray[np.float32], start: float) -> NDArray[np.float64]:
    return np.asarray(np.log(start / np.maximum(nearest.astype(np.float64), _SMALLEST)))
