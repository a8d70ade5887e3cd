"""The curve on vectors whose true rates are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.encoder.calibration import pairs, read_calibration
from twinpix.encoder.errors import InputError
from twinpix.pipeline.calibrate import DECADES_BEYOND, HIGHEST_RATE, SMALLEST_SET, Tail, calibrate, fit_tail

Floats = NDArray[np.float32]
DIM = 8


def sphere(n: int, dim: int = DIM, seed: int = 0) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def true_rate(distance: float, dim: int = DIM) -> float:
    """Share of a sphere's surface within an L2 distance of a point on it, by numerical integration."""
    angle = np.linspace(0, np.pi, 400_001)
    density = np.sin(angle) ** (dim - 2)
    return float(density[2 * np.sin(angle / 2) <= distance].sum() / density.sum())


def test_measured_rates_on_a_sphere() -> None:
    curve = calibrate(sphere(2000), "sphere")
    assert 1 / pairs(2000) < curve.measured_from <= 10 / pairs(2000)
    for distance, rate in zip(curve.distances, curve.rates, strict=True):
        if rate >= 10 / pairs(2000):
            assert 0.4 < true_rate(distance) / rate < 2.5


def test_extrapolated_rates_promise_no_more_than_is_true() -> None:
    ratios = []
    for seed in range(4):
        curve = calibrate(sphere(1500, seed=seed), "sphere")
        ratios += [
            true_rate(d) / r for d, r in zip(curve.distances, curve.rates, strict=True) if r < curve.measured_from
        ]
    assert np.median(ratios) < 3  # at most three times as many false pairs as said


@pytest.mark.parametrize("n", [SMALLEST_SET, 1000])
def test_the_curve_ascends_and_reaches_as_far_as_said(n: int) -> None:
    curve = calibrate(sphere(n), "sphere")
    assert list(curve.distances) == sorted(curve.distances)
    assert list(curve.rates) == sorted(set(curve.rates))
    assert curve.rates[-1] == pytest.approx(HIGHEST_RATE)
    assert curve.rates[0] == pytest.approx(curve.measured_from / 10**DECADES_BEYOND)
    assert (curve.pictures, curve.source) == (n, "sphere")
    assert read_calibration(curve.to_dict()).pair_threshold == pytest.approx(curve.pair_threshold, abs=1e-4)


def test_blocks_do_not_matter_and_the_order_neither() -> None:
    vectors = sphere(1100)
    turned = calibrate(vectors[::-1].copy(), "sphere")
    assert turned.distances == pytest.approx(calibrate(vectors, "sphere").distances, abs=1e-5)


def test_the_nearest_pairs_get_a_second_look() -> None:
    dice = np.random.default_rng(0)
    noise = [dice.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(SMALLEST_SET)]
    vectors = sphere(SMALLEST_SET)
    noise[1], vectors[1] = noise[0], vectors[0]  # one picture twice
    noise[3], vectors[3] = np.zeros_like(noise[0]), vectors[2]  # nothing to see
    found = calibrate(vectors, "noise", noise).second_look
    assert found is not None
    assert found.pairs == pytest.approx(pairs(SMALLEST_SET) * HIGHEST_RATE, rel=0.02)
    assert found.confirmed == 1
    assert 1 <= found.unclear < found.pairs / 10
    assert calibrate(vectors, "noise").second_look is None


def test_too_few_pictures() -> None:
    with pytest.raises(InputError, match="200"):
        calibrate(sphere(SMALLEST_SET - 1), "sphere")


@pytest.mark.parametrize("dim", [2, 256])
def test_odd_distributions_give_a_valid_curve(dim: int) -> None:
    curve = calibrate(sphere(400, dim), "sphere")
    assert 0 <= curve.distances[0] <= curve.distances[-1] <= 2
    assert read_calibration(curve.to_dict()).rates


@pytest.mark.parametrize("row", [sphere(1), np.eye(1, DIM, dtype=np.float32)])
def test_identical_pictures_give_a_valid_curve(row: Floats) -> None:
    curve = calibrate(np.repeat(row, 300, axis=0), "all the same")
    assert max(curve.distances) < 1e-3
    assert read_calibration(curve.to_dict()).rates == pytest.approx(curve.rates, rel=1e-3)


def test_a_power_law_is_recovered() -> None:
    dice = np.random.default_rng(0)
    tail = fit_tail(np.exp(-dice.exponential(0.05, 50_000)).astype(np.float32), 50_000)
    assert tail.shape == pytest.approx(0, abs=0.1)
    assert tail.scale == pytest.approx(0.05, rel=0.1)
    assert tail.share == pytest.approx(0.1, rel=1e-3)


def test_tail_distances() -> None:
    for shape in (0.0, 0.2):
        tail = Tail(0.5, 0.1, 0.05, shape, 1001)
        assert tail.distance(1e-4) == pytest.approx(0.5)  # a share of 0.1 of pictures, of 1000 others each
        gaps = [tail.distance(rate) for rate in (1e-7, 1e-6, 1e-5, 1e-4)]
        assert gaps == sorted(gaps)
    assert Tail(0.5, 0.1, 0.05, 0.0, 1001).distance(1e-6) == pytest.approx(0.5 * 100**-0.05)
