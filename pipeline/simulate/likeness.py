"""Vectors in any number that lie as an encoder's embeddings do, and among which no small group repeats itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import InputError

Floats = NDArray[np.float32]
FEWEST = 200  # embeddings
WIDTHS = tuple(round(0.4 + 0.05 * step, 2) for step in range(12))
VARIANCE = 0.999  # of the embeddings, that the axes kept hold
AT_RATES = (1e-4, 1e-3, 1e-2, 0.1, 0.5)  # share of pairs whose distance is compared,
AT_SHARES = (0.1, 0.25, 0.5, 0.75)  # and share of images whose nearest neighbour is; below, there are real copies
COMPARED = 2000  # vectors


@dataclass(frozen=True)
class Likeness:
    """A cloud around each real embedding, with the axes of all of them: a smoothed bootstrap (Silverman & Young 1987).

    In the main axes of the embeddings each coordinate is drawn by itself, so that clouds have no end of members, and
    of two of them none need lie near each other. Variance is kept.

    Attributes:
        mean: float32 (dim,).
        axes: float32 (dim, d), one a column: the d in which the embeddings differ.
        spread: float32 (d,), standard deviation along each.
        anchors: float32 (a, d), the embeddings in these axes.
        width: 0..1, of a cloud, in parts of the spread of all: 0 repeats the embeddings, 1 knows no clusters.
    """

    mean: Floats
    axes: Floats
    spread: Floats
    anchors: Floats
    width: float

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return len(self.mean)

    @property
    def middles(self) -> Floats:
        """The middle of each cloud, float32 (a, d), in the axes."""
        return np.asarray(np.sqrt(1 - self.width**2) * self.anchors, np.float32)

    def noise(self, count: int, dice: np.random.Generator) -> Floats:
        """How far members lie from the middle of their cloud, float32 (count, d), in the axes."""
        return np.asarray(
            self.width * self.spread * dice.standard_normal((count, len(self.spread)), np.float32), np.float32
        )

    def vectors(self, places: Floats) -> Floats:
        """Places in the axes -> vectors of norm 1, float32 (n, dim)."""
        return unit(self.mean + places @ self.axes.T)

    def draw(self, count: int, dice: np.random.Generator) -> Floats:
        """Vectors of norm 1, float32 (count, dim)."""
        return self.vectors(self.middles[dice.integers(0, len(self.anchors), count)] + self.noise(count, dice))


def fit_likeness(embeddings: Floats, seed: int = 0) -> Likeness:
    """The width of the clouds that puts drawn vectors as far from one another as the embeddings are.

    Args:
        embeddings: float32 (m, dim), norm 1, m >= 200.

    Raises:
        InputError: there are too few, or they are all the same.
    """
    if len(embeddings) < FEWEST:
        raise InputError(f"{len(embeddings)} embeddings are too few to draw others like them: {FEWEST} at least")
    mean = embeddings.mean(0)
    centred = embeddings - mean
    squares, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    if squares[-1] < 1e-6:
        raise InputError("all embeddings are the same: nothing can be drawn in their likeness")
    least = int(np.searchsorted(np.cumsum(squares), (1 - VARIANCE) * squares.sum()))
    axes, spread = axes[:, least:].astype(np.float32), np.sqrt(squares[least:]).astype(np.float32)
    wanted = distances(embeddings)
    fits = [Likeness(mean, axes, spread, np.asarray(centred @ axes, np.float32), width) for width in WIDTHS]
    return min(fits, key=lambda fit: _misfit(wanted, distances(fit.draw(len(embeddings), _dice(seed)))))


def distances(vectors: Floats) -> dict[str, dict[float, float]]:
    """How far apart vectors lie (L2): `pairs` by the share that lies as near, `nearest` others by the share of rows."""
    rows = vectors[:COMPARED]
    squared = np.maximum(2 - 2 * (rows @ rows.T), 0)
    pairs = np.sqrt(squared[np.triu_indices(len(rows), 1)])
    np.fill_diagonal(squared, np.inf)
    nearest = np.sqrt(squared.min(1))
    return {
        "pairs": {rate: float(np.quantile(pairs, rate)) for rate in AT_RATES},
        "nearest": {share: float(np.quantile(nearest, share)) for share in AT_SHARES},
    }


def fit_of(likeness: Likeness, embeddings: Floats, seed: int = 1) -> dict[str, Any]:
    """How well drawn vectors do as embeddings: the distances of both, and the largest difference between them (L2)."""
    real, drawn = distances(embeddings), distances(likeness.draw(min(len(embeddings), COMPARED), _dice(seed)))
    off = max(abs(real[kind][at] - drawn[kind][at]) for kind in real for at in real[kind])
    return {"embeddings": len(embeddings), "width": likeness.width, "real": real, "drawn": drawn, "off": off}


def _misfit(real: dict[str, dict[float, float]], drawn: dict[str, dict[float, float]]) -> float:
    return sum((real[kind][at] - drawn[kind][at]) ** 2 for kind in real for at in real[kind])


def _dice(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 101])


def unit(vectors: Floats) -> Floats:
    """The same directions at norm 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)
