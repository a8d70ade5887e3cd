"""Whether a promise counts as kept."""

from __future__ import annotations

import numpy as np
import pytest

from twinpix.encoder.calibration import pairs
from twinpix.pipeline.calibration.calibrate import calibrate, measure
from twinpix.pipeline.calibration.promise import Promise, check_promise, poisson_interval


def sphere(n: int, dim: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


# the exact limits of Garwood (1936), as tables have them
@pytest.mark.parametrize(("count", "low", "high"), [(1, 0.025, 5.57), (5, 1.62, 11.67), (20, 12.22, 30.89)])
def test_poisson_interval(count: int, low: float, high: float) -> None:
    assert poisson_interval(count)[0] == pytest.approx(low, abs=0.05)
    assert poisson_interval(count)[1] == pytest.approx(high, rel=0.01)


def test_nothing_seen_bounds_the_rate() -> None:
    assert Promise(1e-4, 0.5, 0, 1000).interval == (0, 3e-3)


@pytest.mark.parametrize(
    ("seen", "verdict"), [(100, "kept"), (21, "kept"), (499, "kept"), (900, "too low"), (2, "too high")]
)
def test_within_a_factor_5(seen: int, verdict: str) -> None:
    assert Promise(1e-4, 0.5, seen, 10**6).verdict == verdict


def test_too_few_pairs_leave_it_open() -> None:
    assert Promise(1e-5, 0.5, 0, 10_000).verdict == "open"
    assert Promise(1e-5, 0.5, 1, 10_000).verdict == "open"


def test_a_curve_against_fresh_vectors() -> None:
    curve = calibrate(sphere(1500, 8, 0), "sphere")
    for row in check_promise(curve, measure(sphere(2500, 8, 1), "fresh")):
        assert (row.pairs, row.verdict) == (pairs(2500), "kept")
    worse = check_promise(curve, measure(sphere(1500, 3, 1), "crowded"))
    assert [row.verdict for row in worse] == ["too low", "too low"]
