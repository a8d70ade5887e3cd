"""How fast SciPy and NumPy compute Euclidean distances, and whether they agree."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import MissingPackageError

Floats = NDArray[np.float64]
REPEATS = 5
SHAPES = ((100, 64), (200, 256), (100, 1024))  # (vectors, values each); broadcasting holds n x n x values


@dataclass(frozen=True)
class Timing:
    """One way to compute the same distances.

    Attributes:
        task: which distances.
        way: how.
        seconds: the best of five runs.
        ratio: of SciPy's seconds to these; above 1 is faster than SciPy.
        difference: largest absolute difference from SciPy's values.
    """

    task: str
    way: str
    seconds: float
    ratio: float
    difference: float


def euclidean_speed(shapes: tuple[tuple[int, int], ...] = SHAPES, seed: int = 0) -> list[Timing]:
    """Time SciPy against NumPy on standard normal float64 vectors.

    Raises:
        MissingPackageError: SciPy is not installed.
    """
    spatial = _import_spatial()
    dice = np.random.default_rng(seed)
    rows: list[Timing] = []
    for n, dim in shapes:
        a, b = dice.standard_normal((2, n, dim))
        rows += _race(f"one pair, {dim} values", {
            "SciPy euclidean": partial(spatial.euclidean, a[0], b[0]),
            "NumPy norm": partial(_norm, a[0], b[0]),
            "NumPy dot": partial(_dot, a[0], b[0]),
        })  # fmt: skip
        rows += _race(f"{n} x {n} vectors of {dim} values", {
            "SciPy cdist": partial(spatial.cdist, a, b),
            "NumPy broadcasting": partial(_broadcast, a, b),
            "NumPy matrix product": partial(_matmul, a, b),
        })  # fmt: skip
        rows += _race(f"all pairs of {n} vectors of {dim} values", {
            "SciPy pdist": partial(spatial.pdist, a),
            "NumPy broadcasting": partial(_upper, _broadcast, a),
            "NumPy matrix product": partial(_upper, _matmul, a),
        })  # fmt: skip
    return rows


def _race(task: str, ways: dict[str, Callable[[], Any]]) -> list[Timing]:
    # the first is the one the others are measured against
    measured = {way: _best(work) for way, work in ways.items()}
    seconds, expected = next(iter(measured.values()))
    return [
        Timing(task, way, own, seconds / own, float(np.max(np.abs(values - expected))))
        for way, (own, values) in measured.items()
    ]


def _best(work: Callable[[], Any]) -> tuple[float, Any]:
    work()
    took = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        values = work()
        took.append(time.perf_counter() - begun)
    return min(took), values


def _norm(a: Floats, b: Floats) -> float:
    return float(np.linalg.norm(a - b))


def _dot(a: Floats, b: Floats) -> float:
    gap = a - b
    return math.sqrt(np.dot(gap, gap))


def _upper(distances: Callable[[Floats, Floats], Floats], a: Floats) -> Floats:
    return distances(a, a)[np.triu_indices(len(a), 1)]


def _broadcast(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)))


def _matmul(a: Floats, b: Floats) -> Floats:
    square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(square, 0)))


def _import_spatial() -> Any:
    try:
        from scipy.spatial import distance
    except ImportError:
        raise MissingPackageError("SciPy is not installed: pip install 'twinpix[bench]'") from None
    return distance
