"""Making the curve from distance to false-match rate, without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import CANDIDATE_RATE, Calibration, SecondLook, pairs
from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import InputError
from twinpix.pipeline.index import FlatIndex
from twinpix.pipeline.second_look import look_again
from twinpix.pipeline.verify import Outcome

HIGHEST_RATE = CANDIDATE_RATE
POINTS_PER_DECADE = 5
DECADES_BEYOND = 2.0  # never extrapolate farther than two decades below what was seen
TAIL_SHARE = 0.1  # of the nearest distances, to which the tail is fitted
SMALLEST_SET = 200  # fewer pictures than this say nothing about rare events


def calibrate(vectors: NDArray[np.float32], source: str, pictures: Sequence[ImageLike] | None = None) -> Calibration:
    """Measure the false-match rate of an encoder on pictures that are all different.

    The measured part counts pairs. Below it, a generalised Pareto tail (Pickands 1975), fitted by
    probability-weighted moments (Hosking & Wallis 1987) to the log of each picture's distance to its
    nearest neighbour, reaches at most two decades further. On the log scale an exponential tail is a
    power law of distance, which is how distances thin out towards 0 in any space of fixed dimension.
    The shape is never taken as bounded: that would promise that no unrelated pair can be closer than
    some distance.

    Args:
        vectors: float32 (n, dim), n pictures without duplicates, not trained on.
        source: what they are, for people.
        pictures: the n pictures themselves; the nearest 1 % of their pairs then get a second look, too.

    Raises:
        InputError: fewer than 200 pictures.
    """
    n = len(vectors)
    if n < SMALLEST_SET:
        raise InputError(f"calibration needs at least {SMALLEST_SET} different pictures, not {n}")
    found = _distances(vectors)
    measured_from = 3 / pairs(n)  # three pairs: fewer say next to nothing about a rate
    rates = _rate_grid(measured_from)
    tail = fit_tail(found.nearest, n)
    distances = [_quantile(found.closest, r, n) if r >= measured_from else tail.distance(r) for r in rates]
    ascending = np.minimum.accumulate(np.array(distances)[::-1])[::-1]  # the two parts may not cross
    curve = Calibration(
        distances=tuple(ascending.clip(0).tolist()),
        rates=tuple(rates.tolist()),
        measured_from=float(measured_from),
        pictures=n,
        source=source,
    )
    return curve if pictures is None else replace(curve, second_look=_look_again(curve, vectors, pictures))


def _look_again(curve: Calibration, vectors: NDArray[np.float32], pictures: Sequence[ImageLike]) -> SecondLook:
    outcomes = look_again(pictures, FlatIndex(vectors).pairs(curve.threshold(CANDIDATE_RATE)))
    counts = Counter(outcomes)
    return SecondLook(len(outcomes), counts[Outcome.CONFIRMED], counts[Outcome.UNCLEAR])


@dataclass(frozen=True)
class Distances:
    """Distances among different pictures.

    Attributes:
        closest: float32, ascending, the closest `HIGHEST_RATE` of all pairs.
        nearest: float32 (n,), of each picture to its nearest neighbour.
    """

    closest: NDArray[np.float32]
    nearest: NDArray[np.float32]


def _distances(vectors: NDArray[np.float32], block: int = 512) -> Distances:
    keep = int(np.ceil(pairs(len(vectors)) * HIGHEST_RATE)) + 1
    closest = np.empty(0, np.float32)
    nearest = np.full(len(vectors), np.inf, np.float32)
    for start in range(0, len(vectors), block):
        cosine = vectors[start : start + block] @ vectors.T
        distance = np.sqrt(np.maximum(2 - 2 * cosine, 0))
        rows = np.arange(len(distance))
        distance[rows, start + rows] = np.inf
        nearest[start + rows] = distance.min(1)
        later = np.arange(len(vectors))[None] > (start + rows)[:, None]
        closest = np.sort(np.concatenate([closest, distance[later]]))[:keep]
    return Distances(closest, nearest)


def _quantile(closest: NDArray[np.float32], rate: float, n: int) -> float:
    # the distance below which `rate` of all pairs lie
    return float(np.interp(rate * pairs(n), np.arange(1, len(closest) + 1), closest))


def _rate_grid(measured_from: float) -> NDArray[np.float64]:
    lowest = np.log10(measured_from) - DECADES_BEYOND
    points = int(np.ceil((np.log10(HIGHEST_RATE) - lowest) * POINTS_PER_DECADE)) + 1
    return np.unique(np.append(np.logspace(lowest, np.log10(HIGHEST_RATE), points), measured_from))


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto tail of log(start / nearest distance), for distances below `start` (L2).

    Attributes:
        start: L2; where the tail begins.
        share: of the pictures whose nearest neighbour is closer than `start`.
        scale: of the log; 1 / scale is the power of distance, where shape is 0.
        shape: >= 0; 0 is exponential.
        pictures: n, which turns a share of pictures into a rate of pairs.
    """

    start: float
    share: float
    scale: float
    shape: float
    pictures: int

    def distance(self, rate: float) -> float:
        """The L2 distance at which the rate of pairs is `rate`."""
        ratio = self.share / (rate * (self.pictures - 1))
        excess = np.log(ratio) if self.shape < 1e-6 else (ratio**self.shape - 1) / self.shape
        return float(self.start * np.exp(-self.scale * excess))


def fit_tail(nearest: NDArray[np.float32], pictures: int) -> Tail:
    """Fit the closest `TAIL_SHARE` of the nearest distances (float32 (n,), L2)."""
    ordered = np.sort(nearest).astype(np.float64)
    count = max(20, int(len(ordered) * TAIL_SHARE))
    start = max(float(ordered[count]), 1e-6)
    excess = np.sort(np.log(start / np.maximum(ordered[:count], 1e-6)))
    weights = 1 - (np.arange(1, count + 1) - 0.35) / count
    mean, weighted = float(excess.mean()), float((excess * weights).mean())
    spread = mean - 2 * weighted  # 0 if all are the same
    shape = 2 - mean / spread if spread else 0.0  # of Hosking & Wallis, sign turned: heavy tails are positive
    shape = min(max(shape, 0.0), 0.5)
    return Tail(start, count / len(ordered), mean * (1 - shape), shape, pictures)
