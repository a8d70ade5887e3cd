"""The fitted tail."""

from __future__ import annotations

import numpy as np
import pytest

from twinpix.pipeline.calibration.tail import Tail, fit_tail


def test_a_power_law_is_recovered() -> None:
    dice = np.random.default_rng(0)
    nearest = np.exp(-dice.exponential(0.05, 50_000)).astype(np.float32)
    tail = fit_tail(nearest, np.full(50_000, 1 / 50_000))
    assert tail.shape == pytest.approx(0, abs=0.1)
    assert tail.scale == pytest.approx(0.05, rel=0.1)
    assert tail.start_rate == pytest.approx(0.1, rel=1e-3)


def test_a_weight_of_two_is_the_same_as_being_there_twice() -> None:
    nearest = np.exp(-np.random.default_rng(0).exponential(0.05, 1000)).astype(np.float32)
    once, twice = fit_tail(nearest, np.full(1000, 1.0)), fit_tail(np.repeat(nearest, 2), np.full(2000, 0.5))
    assert twice.scale == pytest.approx(once.scale, rel=0.05)
    assert twice.start_rate == pytest.approx(once.start_rate)


@pytest.mark.parametrize("shape", [0.0, 0.2])
def test_distance_and_rate_are_inverse(shape: float) -> None:
    tail = Tail(0.5, 1e-4, 0.05, shape)
    assert tail.distance(1e-4) == pytest.approx(0.5)
    gaps = [tail.distance(rate) for rate in (1e-7, 1e-6, 1e-5, 1e-4)]
    assert gaps == sorted(gaps)
    assert [tail.rate(gap) for gap in gaps] == pytest.approx([1e-7, 1e-6, 1e-5, 1e-4])
    assert tail.rate(0.7) == 1e-4


def test_a_known_value() -> None:
    assert Tail(0.5, 1e-4, 0.05, 0.0).distance(1e-6) == pytest.approx(0.5 * 100**-0.05)


def test_equal_distances() -> None:
    tail = fit_tail(np.zeros(300, np.float32), np.full(300, 1e-3))
    assert 0 <= tail.distance(1e-9) < 1e-3
    assert np.isfinite(tail.rate(0.5))
