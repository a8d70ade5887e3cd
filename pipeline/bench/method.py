"""The one door: what a way of comparing pictures must offer, and what its scores are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import pairs
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.bench.ordered import Ordered, Sorted
from twinpix.pipeline.calibration.tail import fit_tail
from twinpix.pipeline.classic.distances import l2
from twinpix.pipeline.threads import cores

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]
Distances = Callable[[Floats, Floats], Floats]
BLOCK = 256  # rows of all pairs at a time
PAIRED = 16  # copies that are compared with their originals at a time
DECADES_BEYOND = 2  # below what was measured, a tail is followed no farther
ROUNDING = 1e-5  # float32: a pair at the threshold itself is within it


def plain_l2(originals: Floats) -> Distances:
    """L2, whatever the originals are."""
    return l2


@dataclass(frozen=True)
class Method:
    """A way to turn pictures into vectors, and vectors into distances.

    Attributes:
        key: short, as on the command line.
        name: for tables.
        encode: RGB pictures -> float32 (n, dim).
        threshold: pairs at most this far apart are duplicates by default; None if there is no default.
        scale: what the distance is, for people.
        learn: vectors of the originals -> a function (n, dim), (m, dim) -> (n, m), smaller is closer; infinite
            for a pair that the method never compares.
        on_scale: a distance -> the value that people know it by.
    """

    key: str
    name: str
    encode: Callable[[Sequence[Image.Image]], Floats]
    threshold: float | None
    scale: str = "L2 distance"
    learn: Callable[[Floats], Distances] = plain_l2
    on_scale: Callable[[float], float] = float

    def encode_all(self, pictures: Sequence[Image.Image], block: int = 32) -> Floats:
        """The same as `encode`, on all cores."""
        blocks = [pictures[i : i + block] for i in range(0, len(pictures), block)]
        with ThreadPoolExecutor(cores()) as pool:
            return np.concatenate(list(pool.map(self.encode, blocks)))


def encode_with(encoder: Encoder) -> Callable[[Sequence[Image.Image]], Floats]:
    """The `encode` of a method, by any encoder."""
    return lambda pictures: encoder.encode(np.stack([encoder.prepare(picture) for picture in pictures]))


def allowed(pairs: int, rate: float) -> int:
    """How many of the pairs of different pictures may be called at a false-match rate of `rate`."""
    return int(pairs * rate * (1 + 1e-9))


@dataclass(frozen=True)
class Unrelated:
    """Scores of the pairs of different pictures: what every threshold of a false-match rate is read from.

    Attributes:
        scores: all that are finite.
        pairs: how many pairs there are, the never compared ones included.
        extrapolate: a rate -> the score, by a fitted tail; None where the scores are whole numbers of bits, or too
            few to fit a tail to.
    """

    scores: Ordered
    pairs: int
    extrapolate: Callable[[float], float] | None = None

    def limit(self, rate: float) -> float:
        """Pairs below (not at) this score are called at a false-match rate of `rate`; NaN for too few pairs."""
        rank = allowed(self.pairs, rate)
        if rank < 1:
            return float("nan")
        return self.scores.at(rank) if rank < len(self.scores) else float("inf")

    def reaches(self, rate: float) -> bool:
        """Whether a tail may be followed down to `rate`."""
        return self.pairs * rate * 10.0**DECADES_BEYOND >= 1


class Contestant(Protocol):
    """What the measurement asks of a method. Scores are like distances: smaller is closer, infinite is never."""

    @property
    def method(self) -> Method: ...
    @property
    def name(self) -> str: ...
    @property
    def limit(self) -> float | None:
        """The highest score that is a duplicate by default; None if there is no default."""

    def unrelated(self) -> Unrelated:
        """Scores among the originals."""

    def to_own(self, rows: Rows, copies: Sequence[Image.Image], vectors: Floats) -> Floats:
        """Scores of k edited copies, each against the original it was made of: float32 (k,)."""

    def to_many(self, queries: Sequence[Image.Image], vectors: Floats, rows: Rows) -> Floats:
        """Scores of q pictures against the originals `rows`: float32 (q, r)."""


class Plain:
    """A method by its distance alone.

    Args:
        method: which.
        originals: float32 (n, dim), its vectors of n different pictures.
    """

    def __init__(self, method: Method, originals: Floats) -> None:
        self.method, self.name, self.limit = method, method.name, method.threshold
        self._originals, self._distances = originals, method.learn(originals)

    def unrelated(self) -> Unrelated:
        """See `Contestant`."""
        vectors, n = self._originals, len(self._originals)
        parts, nearest = [np.empty(0, np.float32)], np.full(n, np.inf, np.float32)
        for start in range(0, n, BLOCK):
            found = self._distances(vectors[start : start + BLOCK], vectors[start:])
            i, j = np.triu_indices(len(found), 1, found.shape[1])
            parts.append(found[i, j])
            np.minimum.at(nearest, start + i, found[i, j])
            np.minimum.at(nearest, start + j, found[i, j])
        scores = np.sort(np.concatenate(parts))
        scores = scores[np.isfinite(scores)]
        return Unrelated(Sorted(scores), pairs(n), None if _is_whole(scores) else _tail(nearest))

    def to_own(self, rows: Rows, copies: Sequence[Image.Image], vectors: Floats) -> Floats:
        """See `Contestant`."""
        starts = range(0, len(rows), PAIRED)
        parts = [self._distances(self._originals[rows[s : s + PAIRED]], vectors[s : s + PAIRED]) for s in starts]
        return np.concatenate([np.empty(0, np.float32), *(part.diagonal() for part in parts)])

    def to_many(self, queries: Sequence[Image.Image], vectors: Floats, rows: Rows) -> Floats:
        """See `Contestant`."""
        return self._distances(vectors, self._originals[rows])


def _is_whole(scores: Floats) -> bool:
    # the square of the L2 distance of bits is a whole number, and a tail of whole numbers is nobody's business
    square = scores[:10_000].astype(np.float64) ** 2
    whole = float(np.abs(square - square.round()).max(initial=0)) < 1e-3
    return whole and len(np.unique(square.round())) < len(square)


def _tail(nearest: Floats) -> Callable[[float], float] | None:
    finite = nearest[np.isfinite(nearest)]
    if len(finite) < 2:
        return None
    return fit_tail(finite, np.full(len(finite), 1 / (len(nearest) * (len(nearest) - 1)))).distance
