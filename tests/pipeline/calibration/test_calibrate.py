"""The curve on vectors whose true rates are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration, pairs, read_calibration
from twinpix.encoder.errors import InputError
from twinpix.pipeline.calibration import calibrate as calibrating
from twinpix.pipeline.calibration.calibrate import (
    DECADES_BEYOND,
    HIGHEST_RATE,
    SMALLEST_SET,
    calibrate,
    draw_curve,
    measure,
    one_of_each_pair,
)
from twinpix.pipeline.calibration.negatives import Negatives
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.second_look.outcome import Outcome

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


def true_rates(curve: Calibration) -> NDArray[np.float64]:
    return np.array([true_rate(distance) for distance in curve.distances])


def noise(n: int) -> list[NDArray[np.uint8]]:
    dice = np.random.default_rng(0)
    return [dice.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(n)]


def test_measured_rates_on_a_sphere() -> None:
    curve = calibrate(sphere(2000), "sphere")
    assert curve.measured_from == pytest.approx(3 / pairs(2000))
    for distance, rate in zip(curve.distances, curve.rates, strict=True):
        if rate >= 10 / pairs(2000):
            assert 0.4 < true_rate(distance) / rate < 2.5


def test_the_promise_is_kept_on_fresh_pictures() -> None:
    curve = calibrate(sphere(1500), "sphere")
    fresh = calibrate(sphere(3000, seed=9), "fresh")
    for rate in (1e-3, 1e-4, 1e-5):
        assert fresh.rate(curve.threshold(rate)) == pytest.approx(rate, rel=0.7), rate


def test_extrapolated_rates_promise_no_more_than_is_true() -> None:
    ratios = []
    for seed in range(4):
        curve = calibrate(sphere(1500, seed=seed), "sphere")
        ratios += [
            true_rate(d) / r for d, r in zip(curve.distances, curve.rates, strict=True) if r < curve.measured_from
        ]
    assert np.median(ratios) < 3  # at most three times as many false pairs as said


def test_the_band_mostly_holds_the_truth() -> None:
    inside = []
    for seed in range(5):
        curve = calibrate(sphere(300, seed=seed), "sphere")
        seen = np.array(curve.rates) >= curve.measured_from
        truth = true_rates(curve)[seen]
        inside.append(((truth >= np.array(curve.low)[seen]) & (truth <= np.array(curve.high)[seen])).mean())
    assert 0.7 < np.mean(inside) <= 1


def test_the_band_shrinks_with_more_pictures() -> None:
    def width(n: int) -> float:
        curve = calibrate(sphere(n), "sphere")
        return float(np.interp(1e-3, curve.rates, np.array(curve.high) / np.maximum(curve.low, 1e-9)))

    assert 1 < width(3000) < width(800) < width(220)


def test_the_band_holds_the_curve_and_is_the_same_each_time() -> None:
    curve = calibrate(sphere(300), "sphere")
    assert all(low <= rate <= high for low, rate, high in zip(curve.low, curve.rates, curve.high, strict=True))
    assert calibrate(sphere(300), "sphere") == curve


@pytest.mark.parametrize("n", [SMALLEST_SET, 1000])
def test_the_curve_ascends_and_reaches_as_far_as_said(n: int) -> None:
    curve = calibrate(sphere(n), "sphere")
    assert list(curve.distances) == sorted(curve.distances)
    assert list(curve.rates) == sorted(set(curve.rates))
    assert curve.rates[-1] == pytest.approx(HIGHEST_RATE, rel=0.05)
    assert curve.rates[0] == pytest.approx(curve.measured_from / 10**DECADES_BEYOND)
    assert (curve.pictures, curve.source) == (n, "sphere")
    assert read_calibration(curve.to_dict()).pair_threshold == pytest.approx(curve.pair_threshold, abs=1e-4)


def test_blocks_do_not_matter_and_the_order_neither() -> None:
    vectors = sphere(1100)
    turned = calibrate(vectors[::-1].copy(), "sphere")
    assert turned.distances == pytest.approx(calibrate(vectors, "sphere").distances, abs=1e-5)


def test_hamming_distances_promise_no_more_than_is_true() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (1200, 64)).astype(np.float32)
    curve = calibrate(bits, "hashes")
    squared = ((bits[:, None] != bits[None]).sum(2))[np.triu_indices(1200, 1)]
    for rate in (1e-2, 1e-3, 1e-4, 1e-5):
        within = float((np.sqrt(squared) <= curve.threshold(rate)).mean())
        assert within <= rate
        assert np.sqrt(squared.min()) - curve.threshold(rate) < 1.5


def test_the_nearest_pairs_get_a_second_look_and_copies_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "LOOKED_AT", 30)
    pictures, vectors = noise(SMALLEST_SET + 2), sphere(SMALLEST_SET + 2)
    pictures[1], vectors[1] = pictures[0], vectors[0]  # one picture twice
    pictures[3], vectors[3] = np.zeros_like(pictures[0]), vectors[2]  # nothing to see
    found = measure(vectors, "noise", pictures)
    assert [column.tolist() for column in found.confirmed] == [[0], [1], [0.0]]
    assert found.rows.tolist() == [0, *range(2, SMALLEST_SET + 2)]
    seen = found.calibration.second_look
    assert seen is not None
    assert (seen.confirmed, len(found.outcomes)) == (0, seen.pairs)
    assert 25 <= seen.pairs < 30
    assert 0 <= seen.unclear < 10
    assert found.outcomes[0] is Outcome.REFUTED  # a blank picture is no copy of one that is not
    assert [column[0].item() for column in found.closest] == [2, 3, 0.0]
    assert calibrate(vectors, "noise").second_look is None


def test_planted_copies_do_not_move_the_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(pictures: Sequence[object], near: Pairs) -> tuple[Outcome, ...]:
        return tuple(Outcome.CONFIRMED if j - i == 300 else Outcome.REFUTED for i, j in zip(*near[:2], strict=True))

    monkeypatch.setattr(calibrating, "look_again", look)
    vectors, pictures = sphere(300), noise(300)
    near = vectors[:40] + 0.01 * sphere(40, seed=5)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    alone = calibrate(vectors, "noise", pictures)
    both = measure(np.concatenate([vectors, near]), "noise", pictures + pictures[:40])
    assert both.rows.tolist() == list(range(300))
    assert replace(both.calibration, second_look=None) == replace(alone, second_look=None)
    polluted = calibrate(np.concatenate([vectors, near]), "noise")
    assert polluted.threshold(1e-4) < alone.threshold(1e-4) / 2


def test_one_of_each_pair() -> None:
    def same(*rows: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        return np.array([i for i, _ in rows]), np.array([j for _, j in rows]), np.zeros(len(rows), np.float32)

    rows = np.arange(6)
    assert one_of_each_pair(rows, same((0, 3), (3, 5), (1, 2))).tolist() == [0, 1, 4, 5]
    assert one_of_each_pair(rows, same((0, 1), (0, 2), (1, 2))).tolist() == [0, 3, 4, 5]


def test_classes_have_curves_of_their_own_where_there_are_enough() -> None:
    vectors = sphere(700)
    vectors[:300, 0] += 3  # a crowd
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.array(["document"] * 300 + ["photo"] * 350 + ["screenshot"] * 30 + ["flat"] * 20)
    curve = calibrate(vectors, "mixed", labels=labels)
    assert {one.source: one.pictures for one in curve.classes} == {"document": 300, "photo": 350, "screenshot": 30}
    crowd, loose, few = curve.classes
    assert few.measured_from > 5e-3 and few.high[0] > 2 * few.rates[0]  # the band says how little 30 pictures tell
    assert crowd.rate(curve.threshold(1e-3)) > 3 * loose.rate(curve.threshold(1e-3))
    assert read_calibration(curve.to_dict()).classes[0].source == "document"


def test_pairs_within_a_photo_set_weigh_half() -> None:
    """Ten tight sets that are far from one another: a library of two of them has many more alike pairs."""
    centres = 3 * sphere(10, seed=1)
    vectors = np.concatenate([centre + sphere(120, seed=k) for k, centre in enumerate(centres)]).astype(np.float32)
    sets = np.repeat(np.arange(10), 120)
    pooled, weighed = calibrate(vectors, "all"), calibrate(vectors, "all", sets=sets)
    one = calibrate(np.concatenate([vectors[:120], centres[0] + sphere(240, seed=50)]), "one of them")
    limit = pooled.threshold(1e-4)
    assert 3 < weighed.rate(limit) / pooled.rate(limit) < 8  # a tenth of all pairs were within a set, now half
    assert 1.2 < one.rate(limit) / weighed.rate(limit) < 4


def test_rows_of_no_set_are_left_out() -> None:
    sets = np.array([0] * 210 + [-1] * 40)
    assert replace(calibrate(sphere(250), "x", sets=sets)) == calibrate(sphere(250)[:210], "x")


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


def test_one_picture_in_all_of_the_closest_pairs_gives_a_valid_curve() -> None:
    others = np.arange(1, 200)
    closest = np.zeros(199, np.intp), others.astype(np.intp), np.linspace(0.1, 0.5, 199).astype(np.float32)
    curve = draw_curve(Negatives(closest, np.zeros(200, np.intp)), "a hub")  # a third of all resamples lack it
    assert read_calibration(curve.to_dict()).rates == pytest.approx(curve.rates, rel=1e-3)
    assert np.isfinite(curve.low).all() and np.isfinite(curve.high).all()
