"""How alike the pictures of a library are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration
from twinpix.pipeline.calibration.alikeness import LEAST, MOST, SAMPLE, alikeness, count_within
from twinpix.pipeline.calibration.calibrate import calibrate
from twinpix.pipeline.limits import Limits


def scattered(n: int, spread: float, seed: int) -> NDArray[np.float32]:
    """n unit vectors round one direction: the smaller the spread, the more alike."""
    vectors = np.eye(1, 16) + spread * np.random.default_rng(seed).normal(size=(n, 16))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def curve() -> Calibration:
    return calibrate(scattered(1200, 0.5, 0), "drawn")


def within(vectors: NDArray[np.float32], distance: float) -> int:
    """The number of near pairs, by the plainest means."""
    gaps = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    return int((gaps[np.triu_indices(len(vectors), 1)] <= distance).sum())


@pytest.mark.parametrize("n", [2, 30, 600])
def test_pairs_are_counted(n: int) -> None:
    vectors = scattered(n, 0.5, 1)
    assert count_within(vectors, 0.9) == within(vectors, 0.9)


def test_pictures_like_those_of_the_calibration(curve: Calibration) -> None:
    assert alikeness(scattered(1000, 0.5, 2), curve) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("rate", [1e-4, 1e-5])
def test_a_raised_curve_keeps_its_promise_on_more_alike_pictures(curve: Calibration, rate: float) -> None:
    vectors = scattered(1500, 0.35, 3)
    pairs = 1500 * 1499 / 2
    assert within(vectors, curve.threshold(rate)) / pairs > 3 * rate, "the plain curve promises too much"
    raised = curve.raised(alikeness(vectors, curve))
    assert rate / 5 <= within(vectors, raised.threshold(rate)) / pairs <= 5 * rate


def test_unusually_different_pictures_loosen_nothing(curve: Calibration) -> None:
    assert alikeness(scattered(1000, 3, 4), curve) == LEAST < 1
    limits = Limits(1.0, curve.library_threshold(1000), 0.01, curve.likely_threshold(1000))
    assert limits.at_most(curve.raised(LEAST), 1000) == limits
    assert limits.at_most(curve.raised(3), 1000).unverified < limits.unverified


def test_a_promise_holds_for_unusually_different_pictures_too(curve: Calibration) -> None:
    vectors, rate = scattered(2000, 0.9, 9), 1e-4
    found = within(vectors, curve.threshold(rate)) / (2000 * 1999 / 2)
    assert found < rate / 3, "the plain curve is too careful"
    adapted = curve.raised(alikeness(vectors, curve))
    assert rate / 5 <= within(vectors, adapted.threshold(rate)) / (2000 * 1999 / 2) <= 5 * rate


def test_a_small_library_can_not_tell(curve: Calibration) -> None:
    assert alikeness(scattered(60, 0.1, 5), curve) == 1
    assert alikeness(np.empty((0, 16), np.float32), curve) == 1


def test_copies_among_them_do_not_count(curve: Calibration) -> None:
    vectors = scattered(600, 0.5, 6)
    assert alikeness(np.concatenate([vectors, vectors]), curve) == pytest.approx(alikeness(vectors, curve), rel=0.35)


def test_the_order_changes_nothing(curve: Calibration) -> None:
    vectors = scattered(SAMPLE + 500, 0.42, 7)
    assert alikeness(vectors[::-1].copy(), curve) == alikeness(vectors, curve)


def test_there_is_a_most(curve: Calibration) -> None:
    assert alikeness(scattered(1000, 0.2, 8), curve) == MOST


def test_a_raised_curve_is_stricter_everywhere(curve: Calibration) -> None:
    raised = curve.raised(4)
    assert all(raised.threshold(rate) < curve.threshold(rate) for rate in (1e-2, 1e-3, 1e-4, 1e-5))
    assert raised.rate(curve.threshold(1e-4)) == pytest.approx(4e-4)
    assert curve.raised(1) is curve
